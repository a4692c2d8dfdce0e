/* Every public function against misuse, from one table: public_misuse.def. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <tidegate/tidegate.h>

#include "check_main.h"
#include "file_fixture.h"

#pragma GCC diagnostic ignored "-Wformat-security"
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

/* ---- objects of every kind ---- */

typedef struct world {
    tg_context *cx;
    tg_params *ps, *ps2; /* frozen; open */
    tg_tape *t, *t2;     /* in training */
    tg_tensor *x, *loss, *kept;
    tg_parameter *p;
    tg_embedding *embedding;
    tg_linear *linear;
    tg_rnn *rnn;
    tg_attention *attention;
    tg_attention_rnn *attention_rnn;
    tg_memory memory;
    tg_encoder_decoder *model;
    tg_optimizer *optimizer;
    tg_archive *archive;
    tg_tokenizer *tokenizer, *bpe;
    tg_vocabulary *vocabulary, *open; /* frozen; not */
    tg_pairs *pairs;
    tg_batches *batches;
    tg_pair_batch batch;
    tg_translator translator;
    tg_bleu *bleu;
    tg_chrf *chrf;
    const char *path, *file; /* of pairs; of a checkpoint, which need not exist */
} world;

static tg_real reals[8];
static const int ids[8] = { 1, 1 }, lengths[1] = { 2 };
static const tg_encoder_decoder_config small = { .source_vocabulary = 6,
                                                 .target_vocabulary = 6,
                                                 .embed = 3,
                                                 .hidden = 4,
                                                 .attention = TG_ATTENTION_ADDITIVE };

static void make_layers(world *w)
{
    w->p = tg_parameter_new(w->ps, "p", 0, NULL, (tg_init){ .kind = TG_INIT_ONES });
    w->embedding = tg_embedding_new(w->ps, "embedding", 6, 3);
    w->linear = tg_linear_new(w->ps, "linear", 3, 4, NULL);
    w->rnn = tg_rnn_new(w->ps, "rnn", 3, 4, NULL);
    w->attention =
        tg_attention_new(w->ps, "attention", 3, 3, &(tg_attention_config){ .kind = TG_ATTENTION_DOT });
    w->attention_rnn =
        tg_attention_rnn_new(w->ps, "attention_rnn", 3, 4, 3,
                             &(tg_attention_rnn_config){ .attention.kind = TG_ATTENTION_ADDITIVE });
    w->model = tg_encoder_decoder_new(w->ps, &small);
}

/* x (2,1,3), and what was computed from it */
static void make_tapes(world *w)
{
    w->t = tg_tape_new(w->cx);
    w->t2 = tg_tape_new(w->cx);
    if (tg_context_ok(w->cx)) tg_tape_begin(w->t, TG_TRAIN), tg_tape_begin(w->t2, TG_TRAIN);
    w->x = tg_input(w->t, 3, (int[]){ 2, 1, 3 }, reals);
    w->loss = tg_sum(w->t, tg_linear_run(w->linear, w->t, w->x));
    w->memory = tg_attention_memory(w->attention, w->t, w->x, NULL);
    w->kept = tg_tensor_new(w->cx, 3, (int[]){ 2, 1, 3 });
}

static void make_data(world *w)
{
    w->tokenizer = tg_tokenizer_new(w->cx, NULL);
    w->bpe = tg_tokenizer_new(w->cx, &(tg_tokenizer_config){ .kind = TG_BPE });
    w->vocabulary = tg_vocabulary_new(w->cx, NULL);
    w->open = tg_vocabulary_new(w->cx, NULL);
    tg_vocabulary_add(w->vocabulary, "a b");
    tg_vocabulary_freeze(w->vocabulary, 1);
    if (tg_context_ok(w->cx)) ck_assert_int_eq(tg_pairs_read(w->cx, w->path, NULL, &w->pairs, NULL), TG_OK);
    w->batches = tg_batches_new(w->cx, w->pairs, w->vocabulary, w->vocabulary, NULL);
    tg_batches_get(w->batches, 0, 0, &w->batch);
    w->translator = (tg_translator){
        .params = w->ps, .model = w->model, .source = w->vocabulary, .target = w->vocabulary, .config = small
    };
    w->bleu = tg_bleu_new(w->cx, NULL);
    w->chrf = tg_chrf_new(w->cx, NULL);
    w->archive = tg_archive_new(w->cx);
    tg_archive_put_integer(w->archive, "integer", 1);
    tg_archive_put_number(w->archive, "number", 1);
    tg_archive_put_text(w->archive, "text", "a");
    tg_archive_put_array(w->archive, "array", TG_INT32, 1, (int[]){ 2 }, ids);
    tg_archive_put_texts(w->archive, "texts", 1, (const char *[]){ "a" });
}

/* In a context that is in error: nothing but harmless objects. */
static world world_new(tg_context *cx)
{
    world w = { .cx = cx, .path = in_folder("pairs.tsv"), .file = in_folder("last.h5") };
    w.ps = tg_params_new(cx);
    w.ps2 = tg_params_new(cx);
    make_layers(&w);
    make_tapes(&w);
    make_data(&w);
    w.optimizer = tg_optimizer_new(w.ps, "adam", 0, 0);
    return w;
}

static tg_pair_batch *batch_with_id(const world *w, int id)
{
    static int target[64];
    static tg_pair_batch spoilt;
    spoilt = w->batch;
    for (int i = 0; i < spoilt.T * spoilt.B; i++) target[i] = id;
    spoilt.target_in = target;
    return &spoilt;
}

static tg_tensor *no_loss(void *user, tg_tape *t, tg_at at, double *units)
{
    (void)user, (void)t, (void)at, (void)units;
    return NULL;
}

/* ---- the table ---- */

typedef enum outcome { FAILS, REFUSES, STATUS, HARMLESS } outcome;

static const struct row {
    const char *function, *wrong;
    outcome outcome;
} rows[] = {
#define ROW(function, wrong, outcome, ...) { #function, wrong, outcome },
#include "public_misuse.def"
#undef ROW
};
enum { ROWS = sizeof rows / sizeof *rows };

/* Row i: the call. */
static tg_status call(int i, world *e, world *o, world *n)
{
    static char chars[64];
    static int ints[64];
    const char *no_format = NULL, *text;
    const char *const *texts;
    tg_tensor *nothing = NULL;
    tg_archive *spoilt;
    tg_vocabulary *vocabulary;
    tg_pairs *pairs;
    tg_translator translator;
    tg_translation best;
    tg_status r = TG_OK;
    enum { BASE = __COUNTER__ + 1 };
    switch (i) {
#define ROW(function, wrong, outcome, ...)                                                                   \
    case __COUNTER__ - BASE:                                                                                 \
        __VA_ARGS__;                                                                                         \
        break;
#include "public_misuse.def"
#undef ROW
    }
    return r;
}

/* ---- looked at ---- */

static volatile int at; /* the row, for whoever must know where it crashed */

static void tell_where(int number)
{
    char line[128];
    const int length = snprintf(line, sizeof line, "row %d: %s: %s: signal %d\n", at, rows[at].function,
                                rows[at].wrong, number);
    if (write(2, line, (size_t)length) < 0) {}
    signal(number, SIG_DFL);
    raise(number);
}

static void look(int i, world *e, world *o, world *n)
{
    const struct row *row = &rows[i];
    at = i;
    tg_context_clear(e->cx);
    const tg_status r = call(i, e, o, n), s = tg_context_status(e->cx);
    const char *message = tg_context_message(e->cx);
    const bool fails = row->outcome == FAILS, returns = row->outcome == REFUSES || row->outcome == STATUS;
    ck_assert_msg(returns == (r != TG_OK), "row %d: %s: %s: returned status %d (%s)", i, row->function,
                  row->wrong, r, message);
    ck_assert_msg(fails == (s != TG_OK), "row %d: %s: %s: the context's status is %d (%s)", i, row->function,
                  row->wrong, s, message);
    if (fails || row->outcome == REFUSES)
        ck_assert_msg(strstr(message, row->function) || strstr(message, row->wrong),
                      "row %d: %s: %s: says neither function nor argument: '%s'", i, row->function,
                      row->wrong, message);
}

static tg_real a_step(const world *w)
{
    tg_context_clear(w->cx);
    tg_tape_begin(w->t, TG_TRAIN);
    tg_tensor *loss = tg_encoder_decoder_loss(w->model, w->t, &w->batch, 0);
    ck_assert_msg(tg_tape_backward(w->t, loss) == TG_OK, "%s", tg_context_message(w->cx));
    const tg_real value = *loss->data;
    ck_assert_msg(tg_optimizer_step(w->optimizer) == TG_OK, "%s", tg_context_message(w->cx));
    return value;
}

START_TEST(misuse_of_every_function_gets_a_sentence_and_harms_nothing)
{
    folder_make();
    bytes_to(in_folder("pairs.tsv"), "a\tb\nb a\ta\n", 10);
    world w[2];
    for (int k = 0; k < 2; k++) w[k] = world_new(tg_context_new(&(tg_context_config){ .threads = 1 }));
    for (int k = 0; k < 2; k++) ck_assert_msg(tg_context_ok(w[k].cx), "%s", tg_context_message(w[k].cx));
    tg_context_fail(w[0].cx, TG_ERR_DATA, "so that nothing can be made");
    world nil = world_new(w[0].cx);
    nil.optimizer = tg_optimizer_new(w[0].ps, "adam", 0, 0);
    const int names = tg_params_count(w[0].ps);

    signal(SIGSEGV, tell_where);
    signal(SIGFPE, tell_where);
    signal(SIGILL, tell_where);
    for (int i = 0; i < ROWS; i++) look(i, &w[0], &w[1], &nil);
    for (int k = 0; k < 2; k++) ck_assert_int_eq(tg_params_count(w[k].ps), names);
    ck_assert_int_eq(tg_params_count(w[0].ps2), 0);
    ck_assert_double_eq((double)a_step(&w[0]), (double)a_step(&w[1])); /* the other world saw no misuse */
    tg_archive_free(nil.archive);
    for (int k = 0; k < 2; k++) tg_archive_free(w[k].archive), tg_context_free(w[k].cx);
    folder_remove();
}
END_TEST

/* ---- nothing is left out ---- */

static bool is_name(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; }

/* Counts the functions that a header declares, and asserts that each has a row. */
static int all_have_rows(const char *header)
{
    const bytes file = bytes_of(header);
    char *text = calloc(1, file.n + 1);
    int functions = 0;
    memcpy(text, file.data, file.n);
    for (char *p = strstr(text, "TG_API "); p; p = strstr(p + 1, "TG_API ")) {
        char *end = strchr(p, '('), *begin = end;
        while (begin > p && is_name(begin[-1])) begin--;
        if (strncmp(begin, "tg_", 3) != 0) continue; /* the macro itself */
        *end = 0;
        bool found = false;
        for (int i = 0; i < ROWS && !found; i++) found = !strcmp(rows[i].function, begin);
        ck_assert_msg(found, "%s has no row in public_misuse.def", begin);
        *end = '(';
        functions++;
    }
    free(text);
    free(file.data);
    return functions;
}

START_TEST(every_public_function_has_a_row)
{
    int functions = 0;
    DIR *d = opendir(HEADERS);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *entry; (entry = readdir(d));) {
        char path[512];
        snprintf(path, sizeof path, "%.200s/%.200s", HEADERS, entry->d_name);
        if (strstr(entry->d_name, ".h")) functions += all_have_rows(path);
    }
    closedir(d);
    ck_assert_int_gt(functions, 190);
}
END_TEST

TG_TEST_MAIN("public/misuse", misuse_of_every_function_gets_a_sentence_and_harms_nothing,
             every_public_function_has_a_row)
