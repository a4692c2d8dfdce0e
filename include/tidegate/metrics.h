/* tidegate/metrics.h -- how good translations are: BLEU, chrF, exact match.
 *
 * BLEU and chrF are figures of a whole corpus. Each has an object that counts sentence by sentence, so
 * that a corpus of any size can be scored, and gives its score of what was counted at any time. Objects
 * live as long as the context and are never NULL. Both give the numbers of sacreBLEU (Post 2018, "A call
 * for clarity in reporting BLEU scores", version 2.6.0); their signatures name tidegate as the version.  */
#ifndef TIDEGATE_METRICS_H
#define TIDEGATE_METRICS_H

#include "core.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    TG_ORDERS = 8,          /* n-grams of 1..8 tokens or characters at most */
    TG_SCORE_TEXT = 1024,   /* bytes in which any signature or line has room */
    TG_SCORE_MOST = 1 << 24 /* bytes of a hypothesis or reference */
};

/* ---- BLEU ---- */

typedef enum tg_bleu_tokenizer {
    TG_BLEU_TOKENIZE_13A, /* that of mteval-v13a: punctuation and symbols become tokens of their own */
    TG_BLEU_TOKENIZE_NONE /* tokens are what Unicode white space separates */
} tg_bleu_tokenizer;

/* What becomes of an order n whose C_n n-grams match none: C_n = 0 of T_n > 0 (Chen and Cherry 2014). */
typedef enum tg_bleu_smoothing {
    TG_BLEU_SMOOTH_EXP,   /* the k-th such order counts as 1/2^k matches */
    TG_BLEU_SMOOTH_NONE,  /* as 0: so the score is 0 */
    TG_BLEU_SMOOTH_FLOOR, /* as `smoothing_value` matches */
    TG_BLEU_SMOOTH_ADD_K  /* `smoothing_value` is added to C_n and T_n of every order above 1 */
} tg_bleu_smoothing;

typedef struct tg_bleu_config {
    tg_bleu_tokenizer tokenizer;
    tg_bleu_smoothing smoothing;
    double smoothing_value; /* above 0; 0: 0.1 for floor, 1 for add-k */
    int max_order;          /* 1..TG_ORDERS; 0: 4 */
    bool lowercase;         /* texts are made lower case first */
    bool effective_order;   /* the mean is over the orders that the hypotheses have: for single sentences */
} tg_bleu_config;

/* Counts over the corpus, for n-grams of order n in element n-1; 0 from max_order on.
 *
 *     score = BP exp(1/N sum_n log p_n),   p_n = C_n / T_n,   BP = min(1, exp(1 - r/c))
 *
 * Papineni et al. 2002. A match is an n-gram of the hypothesis that is in a reference, as often as it is
 * in the one that has it most often. Without any match, or any sentence, the score is 0. */
typedef struct tg_bleu_score {
    double score;                /* 0..100 */
    double precision[TG_ORDERS]; /* 100 p_n, smoothed */
    int64_t matches[TG_ORDERS];  /* C_n, before smoothing */
    int64_t totals[TG_ORDERS];   /* T_n, of the hypotheses */
    double brevity_penalty;      /* BP */
    double ratio;                /* c/r; 0 if r is 0 */
    int64_t hypothesis_length;   /* c, tokens */
    int64_t reference_length;    /* r: of each sentence the reference next in length, of two the shorter */
    int64_t sentences;
} tg_bleu_score;

typedef struct tg_bleu tg_bleu;

/* config may be NULL. A value out of range is a failure of the context (TG_ERR_ARGUMENT). */
TG_API tg_bleu *tg_bleu_new(tg_context *cx, const tg_bleu_config *config);
/* Counts one sentence, in time and memory in proportion to its length. On failure nothing is counted: no
 * reference (TG_ERR_ARGUMENT); a text that is not UTF-8, or of more than TG_SCORE_MOST bytes
 * (TG_ERR_DATA). An empty text is one without tokens. */
TG_API tg_status tg_bleu_add(tg_bleu *b, const char *hypothesis, int n,
                             const char *const references[]) TG_MUST_CHECK;
TG_API void tg_bleu_reset(tg_bleu *b); /* as new */
TG_API void tg_bleu_result(const tg_bleu *b, tg_bleu_score *score);

/* "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:tidegate-0.1.0": all that the score depends on.
 * nrefs is "var" if sentences had different numbers of references; "order:N" stands before the version if
 * it is not 4. Like snprintf: returns the bytes needed but for the 0 at the end. */
TG_API size_t tg_bleu_signature(const tg_bleu *b, char *text, size_t bytes);
/* "BLEU|<signature> = 48.53 82.4/50.0/45.5/37.5 (BP = 0.943 ratio = 0.944 hyp_len = 17 ref_len = 18)" */
TG_API size_t tg_bleu_line(const tg_bleu *b, char *text, size_t bytes);

/* ---- chrF ---- */

typedef struct tg_chrf_config {
    int character_order; /* 1..TG_ORDERS; 0: 6 */
    int word_order;      /* 0..TG_ORDERS; 2 is chrF++ (Popovic 2017) */
    int beta;            /* how much more recall weighs than precision, 1..100; 0: 2 */
    bool lowercase;      /* texts are made lower case first */
} tg_chrf_config;

/* Popovic 2015. P and R are the means of the precision and the recall of n-grams of characters (code
 * points, white space left out), over the orders that hypotheses and references both have:
 *
 *     score = 100 (1 + beta^2) P R / (beta^2 P + R)
 *
 * Counted over the corpus; of several references each sentence counts against the one that scores best. */
typedef struct tg_chrf_score {
    double score;             /* 0..100 */
    double precision, recall; /* P, R: 0..1 */
    int64_t sentences;
} tg_chrf_score;

typedef struct tg_chrf tg_chrf;

/* All as their namesakes of BLEU. */
TG_API tg_chrf *tg_chrf_new(tg_context *cx, const tg_chrf_config *config);
TG_API tg_status tg_chrf_add(tg_chrf *f, const char *hypothesis, int n,
                             const char *const references[]) TG_MUST_CHECK;
TG_API void tg_chrf_reset(tg_chrf *f);
TG_API void tg_chrf_result(const tg_chrf *f, tg_chrf_score *score);
/* "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:tidegate-0.1.0" */
TG_API size_t tg_chrf_signature(const tg_chrf *f, char *text, size_t bytes);
/* "chrF2|<signature> = 59.73"; the name has beta, and a + for each order of words. */
TG_API size_t tg_chrf_line(const tg_chrf *f, char *text, size_t bytes);

/* ---- exact match ---- */

/* Are the texts equal but for the amount of ASCII white space between words, and any around them? */
TG_API bool tg_exact_match(const char *a, const char *b);

#ifdef __cplusplus
}
#endif
#endif
