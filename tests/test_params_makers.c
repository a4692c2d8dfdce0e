/* Makers of parameters: what fails leaves the set as it was, whatever failed. */
#include <string.h>
#include <tidegate/tidegate.h>

#include "check_main.h"
#include "core/context.h"
#include "file_fixture.h"
#include "params/params.h"

/* ---- the makers ---- */

static void make_parameter(tg_params *ps)
{
    tg_parameter_new(ps, "made", 2, (int[]){ 3, 4 }, (tg_init){ .kind = TG_INIT_ORTHOGONAL });
}

static void make_embedding(tg_params *ps) { tg_embedding_new(ps, "made", 7, 3); }
static void make_linear(tg_params *ps) { tg_linear_new(ps, "made", 3, 4, NULL); }

static void make_rnn(tg_params *ps)
{
    tg_rnn_new(ps, "made", 3, 4,
               &(tg_rnn_config){ .cell = TG_GRU_RESET_AFTER, .layers = 2, .bidirectional = true });
}

static void make_attention(tg_params *ps)
{
    tg_attention_new(ps, "made", 3, 4,
                     &(tg_attention_config){ .kind = TG_ATTENTION_ADDITIVE, .coverage = true });
}

static void make_attention_rnn(tg_params *ps)
{
    tg_attention_rnn_new(
        ps, "made", 3, 4, 5,
        &(tg_attention_rnn_config){ .attention.kind = TG_ATTENTION_GENERAL, .input_feeding = true });
}

static void make_model(tg_params *ps, tg_attention_kind attention, tg_tying tying)
{
    tg_encoder_decoder_new(ps, &(tg_encoder_decoder_config){ .source_vocabulary = 9,
                                                             .target_vocabulary = 9,
                                                             .embed = 3,
                                                             .hidden = 4,
                                                             .layers = 2,
                                                             .attention = attention,
                                                             .tying = tying });
}

static void make_plain_model(tg_params *ps) { make_model(ps, TG_ATTENTION_NONE, TG_TIE_NONE); }
static void make_attending_model(tg_params *ps) { make_model(ps, TG_ATTENTION_ADDITIVE, TG_TIE_NONE); }
static void make_tied_model(tg_params *ps) { make_model(ps, TG_ATTENTION_DOT, TG_TIE_ALL); }

typedef struct maker {
    const char *name;
    void (*make)(tg_params *ps);
} maker;

static const maker makers[] = {
    { "parameter", make_parameter },
    { "embedding", make_embedding },
    { "linear", make_linear },
    { "rnn", make_rnn },
    { "attention", make_attention },
    { "attention_rnn", make_attention_rnn },
    { "model without attention", make_plain_model },
    { "model with attention", make_attending_model },
    { "tied model", make_tied_model },
};
enum { MAKERS = sizeof makers / sizeof *makers };

/* ---- a set before and after ---- */

/* How many more allocations are granted; below 0: all. */
static int granted = -1;

static void *grant(void *user, size_t n)
{
    (void)user;
    if (granted == 0) return NULL;
    granted -= granted > 0;
    return malloc(n);
}

static void give_back(void *user, void *block)
{
    (void)user;
    free(block);
}

typedef struct world {
    tg_context *cx;
    tg_params *ps;
} world;

/* A set with one parameter of ones. */
static world world_new(const char *name)
{
    granted = -1;
    tg_context *cx = tg_context_new(
        &(tg_context_config){ .seed = 3, .threads = 1, .allocate = grant, .release = give_back });
    world w = { cx, tg_params_new(cx) };
    tg_parameter_new(w.ps, name, 1, (int[]){ 5 }, (tg_init){ .kind = TG_INIT_ONES });
    ck_assert_msg(tg_context_ok(cx), "%s", tg_context_message(cx));
    return w;
}

/* The set holds that one parameter alone; a small layer can be added; and all values are those that the same set has which
 * saw no failure, so that nothing was written over. */
static void is_as_it_was(world w, const char *name, const char *what, int k)
{
    granted = -1;
    tg_context_clear(w.cx);
    ck_assert_msg(tg_params_count(w.ps) == 1, "%s, %d: %d names are left", what, k, tg_params_count(w.ps));
    tg_linear_new(w.ps, "small", 2, 3, NULL);
    world clean = world_new(name);
    tg_linear_new(clean.ps, "small", 2, 3, NULL);
    ck_assert_msg(tg_context_ok(w.cx), "%s, %d: %s", what, k, tg_context_message(w.cx));
    ck_assert_int_eq(tg_params_count(w.ps), tg_params_count(clean.ps));
    for (int i = 0; i < tg_params_count(clean.ps); i++) {
        tg_parameter_info there, wanted;
        tg_real x[8] = { 0 }, y[8] = { 0 };
        tg_params_info(w.ps, i, &there);
        tg_params_info(clean.ps, i, &wanted);
        ck_assert_str_eq(there.name, wanted.name);
        ck_assert_uint_eq(there.size, wanted.size);
        ck_assert_int_eq(tg_params_get(w.ps, there.name, x, there.size), TG_OK);
        ck_assert_int_eq(tg_params_get(clean.ps, there.name, y, there.size), TG_OK);
        ck_assert_msg(!memcmp(x, y, sizeof x), "%s, %d: %s was written over", what, k, there.name);
    }
    tg_context_free(w.cx);
    tg_context_free(clean.cx);
}

/* ---- out of memory ---- */

/* Leaves `left` bytes in the arena's last block. */
static void fill(arena *a, size_t left)
{
#if !defined(TG_DEBUG_ARENA) || !TG_DEBUG_ARENA
    enum { BLOCK = 1 << 16 };
    tg__arena_take(a, 1); /* there is a block now */
    ck_assert_uint_lt(a->used, BLOCK);
    if (BLOCK - a->used > left) tg__arena_take(a, BLOCK - a->used - left);
#else
    (void)a, (void)left;
#endif
}

/* In a usual build an arena asks for large blocks: memory ends after 64 k bytes of the block at hand. In a build with an
 * allocation for each piece it ends after k pieces. */
static bool make_with_little_memory(const maker *m, world w, int k, bool of_context)
{
    fill(&w.ps->memory, of_context ? 1 << 20 : 64 * (size_t)k);
    fill(&w.cx->own, of_context ? 64 * (size_t)k : 1 << 20);
#if !defined(TG_DEBUG_ARENA) || !TG_DEBUG_ARENA
    granted = 0;
#else
    granted = k;
#endif
    m->make(w.ps);
    return tg_context_ok(w.cx);
}

START_TEST(maker_without_memory_leaves_the_set_as_it_was)
{
    int failures = 0;
    for (int of_context = 0; of_context < 2; of_context++)
        for (size_t i = 0; i < MAKERS; i++)
            for (int k = 0;; k++) {
                world w = world_new("before");
                const bool made = make_with_little_memory(&makers[i], w, k, of_context);
                if (made) {
                    tg_context_free(w.cx);
                    break;
                }
                ck_assert_int_eq(tg_context_status(w.cx), TG_ERR_MEMORY);
                ck_assert_int_lt(k, 1000);
                failures++;
                is_as_it_was(w, "before", makers[i].name, k);
            }
    ck_assert_int_gt(failures, 100);
}
END_TEST

START_TEST(maker_may_be_tried_again_after_a_failure)
{
    for (size_t i = 0; i < MAKERS; i++) {
        world w = world_new("before");
        make_with_little_memory(&makers[i], w, 2, false);
        ck_assert_int_eq(tg_context_status(w.cx), TG_ERR_MEMORY);
        granted = -1;
        tg_context_clear(w.cx);
        makers[i].make(w.ps);
        ck_assert_msg(tg_context_ok(w.cx), "%s: %s", makers[i].name, tg_context_message(w.cx));
        ck_assert(tg__params_freeze(w.ps));
        tg_context_free(w.cx);
    }
}
END_TEST

/* ---- a name that is taken, bad sizes ---- */

START_TEST(maker_that_meets_an_existing_name_leaves_the_set_as_it_was)
{
    for (size_t i = 0; i < MAKERS; i++) {
        world all = world_new("before");
        makers[i].make(all.ps);
        ck_assert_msg(tg_context_ok(all.cx), "%s", tg_context_message(all.cx));
        for (int k = 1; k < tg_params_count(all.ps); k++) {
            tg_parameter_info info;
            tg_params_info(all.ps, k, &info);
            world w = world_new(info.name);
            makers[i].make(w.ps);
            ck_assert_int_eq(tg_context_status(w.cx), TG_ERR_EXISTS);
            ck_assert_ptr_nonnull(strstr(tg_context_message(w.cx), info.name));
            is_as_it_was(w, info.name, makers[i].name, k);
        }
        tg_context_free(all.cx);
    }
}
END_TEST

START_TEST(maker_of_bad_sizes_leaves_the_set_as_it_was)
{
    world w = world_new("before");
    tg_linear_new(w.ps, "made", 3, 0, NULL);
    ck_assert_int_eq(tg_context_status(w.cx), TG_ERR_ARGUMENT);
    is_as_it_was(w, "before", "linear (3,0)", 0);
    w = world_new("before");
    tg_embedding_new(w.ps, "made", 0, 3);
    ck_assert_int_eq(tg_context_status(w.cx), TG_ERR_ARGUMENT);
    is_as_it_was(w, "before", "embedding (0,3)", 0);
    w = world_new("before");
    tg_parameter_new(w.ps, "made", 2, (int[]){ 3, -1 }, (tg_init){ .kind = TG_INIT_ONES });
    ck_assert_int_eq(tg_context_status(w.cx), TG_ERR_ARGUMENT);
    is_as_it_was(w, "before", "parameter (3,-1)", 0);
}
END_TEST

START_TEST(layer_that_a_shared_set_lacks_leaves_the_set_as_it_was)
{
    world w = world_new("before");
    tg_linear_new(w.ps, "both/b", 3, 4, &(tg_linear_config){ .no_bias = true });
    tg_params *shared = tg_params_share(w.cx, w.ps);
    tg_linear_new(shared, "both/b", 3, 4, NULL); /* W is there, b is not */
    ck_assert_int_eq(tg_context_status(w.cx), TG_ERR_ABSENT);
    tg_context_clear(w.cx);
    ck_assert_int_eq(tg_params_count(shared), 0);
    tg_context_free(w.cx);
}
END_TEST

START_TEST(model_that_could_not_be_made_is_harmless)
{
    world w = world_new("readout/W");
    const tg_encoder_decoder_config config = { .source_vocabulary = 9,
                                               .target_vocabulary = 9,
                                               .embed = 3,
                                               .hidden = 4,
                                               .attention = TG_ATTENTION_ADDITIVE };
    tg_encoder_decoder *m = tg_encoder_decoder_new(w.ps, &config);
    ck_assert_int_eq(tg_context_status(w.cx), TG_ERR_EXISTS);
    tg_context_clear(w.cx);
    tg_tape *t = tg_tape_new(w.cx);
    int out[8];
    const tg_status s = tg_encoder_decoder_greedy(m, t, 2, 1, (int[]){ 5, 6 }, (int[]){ 2 }, 4, out, NULL);
    ck_assert_int_eq(s, TG_ERR_STATE);
    ck_assert_ptr_nonnull(strstr(tg_context_message(w.cx), "tg_encoder_decoder_greedy: this model"));
    tg_context_free(w.cx);
}
END_TEST

/* ---- names ---- */

static const char *deep(int parts)
{
    static char name[256];
    strcpy(name, "a");
    for (int i = 1; i < parts; i++) strcat(name, "/a");
    return name;
}

START_TEST(name_that_could_not_be_saved_is_refused_when_declared)
{
    char long_name[257];
    memset(long_name, 'a', 256);
    long_name[256] = 0;
    const struct {
        const char *name;
        tg_status status;
        const char *word;
    } cases[] = {
        { "a/b/c", TG_ERR_EXISTS, "'a/b' and 'a/b/c'" },
        { "a", TG_ERR_EXISTS, "'a/b' and 'a'" },
        { "a/b", TG_ERR_EXISTS, "'a/b' already" },
        { "", TG_ERR_ARGUMENT, "empty" },
        { "x//y", TG_ERR_ARGUMENT, "empty" },
        { "/x", TG_ERR_ARGUMENT, "empty" },
        { "x/", TG_ERR_ARGUMENT, "empty" },
        { "x/./y", TG_ERR_ARGUMENT, "'.'" },
        { "..", TG_ERR_ARGUMENT, "'..'" },
        { "w\xff", TG_ERR_ARGUMENT, "UTF-8" },
        { "w\xed\xa0\x80", TG_ERR_ARGUMENT, "UTF-8" },
        { deep(31), TG_ERR_ARGUMENT, "32 parts" },
        { long_name, TG_ERR_ARGUMENT, "256 bytes" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world w = world_new("a/b");
        tg_parameter_new(w.ps, cases[i].name, 1, (int[]){ 2 }, (tg_init){ .kind = TG_INIT_ONES });
        ck_assert_msg(tg_context_status(w.cx) == cases[i].status, "%s: status %d", cases[i].name,
                      tg_context_status(w.cx));
        ck_assert_msg(strstr(tg_context_message(w.cx), cases[i].word) != NULL, "%s: %s", cases[i].name,
                      tg_context_message(w.cx));
        is_as_it_was(w, "a/b", cases[i].name, 0);
    }
}
END_TEST

START_TEST(name_that_may_be_declared_can_be_saved)
{
    char longest[256];
    memset(longest, 'b', 255);
    longest[255] = 0;
    const char *names[] = { deep(30), longest, "ab", "w.", "...", "\xC3\xA4/\xE2\x82\xAC" };
    world w = world_new("before");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        tg_parameter_new(w.ps, names[i], 1, (int[]){ 2 }, (tg_init){ .kind = TG_INIT_ONES });
    tg_optimizer *o = tg_adam_new(w.ps, NULL);
    ck_assert_msg(tg_context_ok(w.cx), "%s", tg_context_message(w.cx));
    const tg_checkpoint all = { .params = w.ps, .optimizer = o };
    folder_make();
    tg_status s = tg_checkpoint_save(in_folder("x.h5"), &all);
    ck_assert_msg(!s, "%s", tg_context_message(w.cx));
    s = tg_checkpoint_load(in_folder("x.h5"), &all);
    ck_assert_msg(!s, "%s", tg_context_message(w.cx));
    folder_remove();
    tg_context_free(w.cx);
}
END_TEST

START_TEST(set_has_no_more_names_than_can_be_saved)
{
    world w = world_new("before");
    for (int i = 0; i < 16 * 1024 && tg_context_ok(w.cx); i++) {
        char name[16];
        snprintf(name, sizeof name, "p%d", i);
        tg_parameter_new(w.ps, name, 0, NULL, (tg_init){ .kind = TG_INIT_ONES });
    }
    ck_assert_int_eq(tg_context_status(w.cx), TG_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(tg_context_message(w.cx), "name 16385 of the set, at most 16384"));
    ck_assert_int_eq(tg_params_count(w.ps), 16384);
    tg_context_free(w.cx);
}
END_TEST

/* ---- what is freed with the context ---- */

static long live;

static void *count(void *user, size_t n)
{
    void *block = grant(user, n);
    live += block != NULL;
    return block;
}

static void uncount(void *user, void *block)
{
    live -= block != NULL;
    give_back(user, block);
}

START_TEST(set_or_tape_made_without_memory_for_its_release_is_not_handed_out)
{
    for (int k = 0; k < 8; k++) {
        granted = -1;
        tg_context *cx =
            tg_context_new(&(tg_context_config){ .threads = 1, .allocate = count, .release = uncount });
        fill(&cx->own, 64 * (size_t)k);
        granted = 0;
        tg_params *ps = tg_params_new(cx);
        tg_context_clear(cx);
        tg_tape *t = tg_tape_new(cx);
        tg_context_clear(cx);
        granted = -1;
        tg_parameter_new(ps, "p", 1, (int[]){ 5 }, (tg_init){ .kind = TG_INIT_ONES });
        tg_tape_begin(t, TG_TRAIN);
        tg_input(t, 1, (int[]){ 2 }, (const tg_real[]){ 1, 2 });
        tg_context_free(cx);
        ck_assert_msg(live == 0, "%d: %ld blocks are left", k, live);
    }
}
END_TEST

TG_TEST_MAIN("params/makers", maker_without_memory_leaves_the_set_as_it_was,
             maker_may_be_tried_again_after_a_failure,
             maker_that_meets_an_existing_name_leaves_the_set_as_it_was,
             maker_of_bad_sizes_leaves_the_set_as_it_was,
             name_that_could_not_be_saved_is_refused_when_declared, name_that_may_be_declared_can_be_saved,
             set_has_no_more_names_than_can_be_saved, layer_that_a_shared_set_lacks_leaves_the_set_as_it_was,
             model_that_could_not_be_made_is_harmless,
             set_or_tape_made_without_memory_for_its_release_is_not_handed_out)
