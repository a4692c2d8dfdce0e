/* tools/tidegate/scores.c -- BLEU and chrF side by side. */
#include <stdio.h>

#include "program.h"

scores scores_new(tg_context *cx, int tokenize, bool lowercase)
{
    static const tg_bleu_tokenizer tokenizers[] = { TG_BLEU_TOKENIZE_13A, TG_BLEU_TOKENIZE_NONE };
    return (scores){
        tg_bleu_new(cx, &(tg_bleu_config){ .tokenizer = tokenizers[tokenize], .lowercase = lowercase }),
        tg_chrf_new(cx, &(tg_chrf_config){ .lowercase = lowercase }),
    };
}

tg_status scores_add(scores *s, const char *hypothesis, int n, const char *const references[])
{
    const tg_status status = tg_bleu_add(s->bleu, hypothesis, n, references);
    return status ? status : tg_chrf_add(s->chrf, hypothesis, n, references);
}

void scores_print_members(const scores *s)
{
    char signature[TG_SCORE_TEXT]; /* holds nothing that JSON would want escaped */
    tg_bleu_score bleu;
    tg_chrf_score chrf;
    tg_bleu_result(s->bleu, &bleu);
    tg_bleu_signature(s->bleu, signature, sizeof signature);
    printf("\"bleu\": %.9g, \"bleu_signature\": \"%s\", ", bleu.score, signature);
    tg_chrf_result(s->chrf, &chrf);
    tg_chrf_signature(s->chrf, signature, sizeof signature);
    printf("\"chrf\": %.9g, \"chrf_signature\": \"%s\"", chrf.score, signature);
}
