#include <math.h>
#include <stdio.h>
#include <string.h>

#include <tidegate/archive.h>

#include "check_main.h"
#include "tensor/archive.h"

/* An allocator that can refuse, and knows what it owes. */
static long allocations, refuse_at, live;

static void *counting_allocate(void *user, size_t bytes)
{
    (void)user;
    if (++allocations == refuse_at) return NULL;
    void *p = malloc(bytes);
    if (p) live++;
    return p;
}

static void counting_release(void *user, void *block)
{
    (void)user;
    if (block) live--;
    free(block);
}

static tg_context *counting_context(void)
{
    allocations = refuse_at = live = 0;
    return tg_context_new(&(tg_context_config){ .allocate = counting_allocate, .release = counting_release });
}

START_TEST(gives_back_what_was_put)
{
    tg_context *cx = tg_context_new(NULL);
    tg_archive *a = tg_archive_new(cx);
    float x[6] = { 1, 2, 3, 4, 5, NAN };
    char text[] = "gr\xc3\xbcn", *word[] = { text, (char[]){ "" }, (char[]){ "b" } };
    ck_assert_int_eq(tg_archive_put_integer(a, "step", INT64_MIN), TG_OK);
    ck_assert_int_eq(tg_archive_put_number(a, "model/rate", 0.1), TG_OK);
    ck_assert_int_eq(tg_archive_put_text(a, "model/name", text), TG_OK);
    ck_assert_int_eq(tg_archive_put_array(a, "x/W", TG_FLOAT32, 2, (int[]){ 2, 3 }, x), TG_OK);
    ck_assert_int_eq(tg_archive_put_array(a, "x/none", TG_INT32, 2, (int[]){ 0, 3 }, NULL), TG_OK);
    ck_assert_int_eq(tg_archive_put_array(a, "x/one", TG_BYTES, 0, NULL, "q"), TG_OK);
    ck_assert_int_eq(tg_archive_put_texts(a, "words", 3, (const char *const *)word), TG_OK);
    ck_assert_int_eq(tg_archive_put_texts(a, "nothing", 0, NULL), TG_OK);
    x[0] = 99, text[0] = 'G'; /* the archive has copies */

    int64_t step;
    double rate;
    const char *name, *const *words;
    float y[6];
    char one;
    int n;
    ck_assert_int_eq(tg_archive_get_integer(a, "step", &step), TG_OK);
    ck_assert(step == INT64_MIN);
    ck_assert_int_eq(tg_archive_get_number(a, "model/rate", &rate), TG_OK);
    ck_assert(rate == 0.1);
    ck_assert_int_eq(tg_archive_get_text(a, "model/name", &name), TG_OK);
    ck_assert_str_eq(name, "gr\xc3\xbcn");
    ck_assert_int_eq(tg_archive_get_array(a, "x/W", TG_FLOAT32, 2, (int[]){ 2, 3 }, y), TG_OK);
    ck_assert(y[0] == 1 && y[4] == 5 && isnan(y[5]));
    ck_assert_int_eq(tg_archive_get_array(a, "x/none", TG_INT32, 2, (int[]){ 0, 3 }, NULL), TG_OK);
    ck_assert_int_eq(tg_archive_get_array(a, "x/one", TG_BYTES, 0, NULL, &one), TG_OK);
    ck_assert_int_eq(one, 'q');
    ck_assert_int_eq(tg_archive_get_texts(a, "words", &n, &words), TG_OK);
    ck_assert_int_eq(n, 3);
    ck_assert_str_eq(words[0], "gr\xc3\xbcn");
    ck_assert_str_eq(words[1], "");
    ck_assert_str_eq(words[2], "b");
    ck_assert_int_eq(tg_archive_get_texts(a, "nothing", &n, &words), TG_OK);
    ck_assert_int_eq(n, 0);
    tg_archive_free(a);
    tg_context_free(cx);
}
END_TEST

START_TEST(is_walked_in_the_order_of_putting)
{
    tg_context *cx = tg_context_new(NULL);
    tg_archive *a = tg_archive_new(cx);
    char path[32];
    for (int i = 0; i < 100; i++) { /* it grows on the way */
        snprintf(path, sizeof path, "n/%d", 99 - i);
        ck_assert_int_eq(tg_archive_put_integer(a, path, i), TG_OK);
    }
    ck_assert_int_eq(tg_archive_put_array(a, "W", TG_FLOAT64, 3, (int[]){ 1, 2, 1 }, (double[]){ 3, 4 }),
                     TG_OK);
    ck_assert_int_eq(tg_archive_count(a), 101);
    tg_entry e;
    for (int i = 0; i < 100; i++) {
        snprintf(path, sizeof path, "n/%d", 99 - i);
        tg_archive_entry(a, i, &e);
        ck_assert_str_eq(e.path, path);
        ck_assert(!e.array && e.type == TG_INT64 && *(const int64_t *)e.data == i);
    }
    tg_archive_entry(a, 100, &e);
    ck_assert(e.array && e.type == TG_FLOAT64 && e.rank == 3);
    ck_assert(e.dim[0] == 1 && e.dim[1] == 2 && e.dim[2] == 1 && ((const double *)e.data)[1] == 4);
    tg_archive_entry(a, 101, &e);
    ck_assert_str_eq(e.path, "");
    tg_archive_free(a);
    tg_context_free(cx);
}
END_TEST

START_TEST(says_what_does_not_fit_and_leaves_the_caller_alone)
{
    tg_context *cx = tg_context_new(NULL);
    tg_archive *a = tg_archive_new(cx);
    float x[6] = { 0 }, y[6] = { 7, 7, 7, 7, 7, 7 };
    int64_t i = 7;
    double d = 7;
    const char *s = "seven";
    ck_assert_int_eq(tg_archive_put_array(a, "x/W", TG_FLOAT32, 2, (int[]){ 2, 3 }, x), TG_OK);
    ck_assert_int_eq(tg_archive_put_integer(a, "n", 1), TG_OK);
    ck_assert(tg_archive_has(a, "x/W") && !tg_archive_has(a, "x") && !tg_archive_has(a, "x/V"));
    ck_assert_int_eq(tg_archive_get_integer(a, "m", &i), TG_ERR_ABSENT);
    ck_assert_ptr_nonnull(strstr(tg_context_message(cx), "'m'"));
    ck_assert_int_eq(tg_archive_get_integer(a, "x/W", &i), TG_ERR_FORMAT);
    ck_assert_int_eq(tg_archive_get_number(a, "n", &d), TG_ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(tg_context_message(cx), "'n' is one integer, not one number"));
    ck_assert_int_eq(tg_archive_get_text(a, "n", &s), TG_ERR_FORMAT);
    ck_assert_int_eq(tg_archive_get_array(a, "x/W", TG_FLOAT64, 2, (int[]){ 2, 3 }, y), TG_ERR_FORMAT);
    ck_assert_int_eq(tg_archive_get_array(a, "n", TG_INT64, 0, NULL, y), TG_ERR_FORMAT);
    ck_assert_int_eq(tg_archive_get_array(a, "x/W", TG_FLOAT32, 2, (int[]){ 3, 2 }, y), TG_ERR_SHAPE);
    ck_assert_ptr_nonnull(strstr(tg_context_message(cx), "float32 (2,3)"));
    ck_assert_ptr_nonnull(strstr(tg_context_message(cx), "float32 (3,2)"));
    ck_assert_int_eq(tg_archive_get_array(a, "x/W", TG_FLOAT32, 1, (int[]){ 6 }, y), TG_ERR_SHAPE);
    ck_assert(i == 7 && d == 7 && !strcmp(s, "seven") && y[0] == 7 && y[5] == 7);
    ck_assert(tg_context_ok(cx) && tg_archive_status(a) == TG_OK); /* looking poisons nothing */
    tg_archive_free(a);
    tg_context_free(cx);
}
END_TEST

/* Each on an archive of its own that holds "x/W" (an array) and "n/one" (a value). */
static tg_status put_into_new(tg_context *cx, const char *path, bool array)
{
    tg_archive *a = tg_archive_new(cx);
    tg_status s = tg_archive_put_array(a, "x/W", TG_BYTES, 1, (int[]){ 1 }, "");
    if (!s) s = tg_archive_put_integer(a, "n/one", 1);
    ck_assert_int_eq(s, TG_OK);
    s = array ? tg_archive_put_array(a, path, TG_BYTES, 1, (int[]){ 1 }, "")
              : tg_archive_put_integer(a, path, 1);
    ck_assert_int_eq(tg_archive_status(a), s);
    ck_assert_int_eq(tg_archive_count(a), s ? 2 : 3);
    tg_archive_free(a);
    return s;
}

START_TEST(refuses_paths_that_are_none)
{
    static const char *const bad[] = { "", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", NULL };
    tg_context *cx = tg_context_new(NULL);
    for (int i = 0; bad[i]; i++)
        ck_assert_msg(put_into_new(cx, bad[i], false) == TG_ERR_ARGUMENT, "'%s'", bad[i]);
    ck_assert_int_eq(put_into_new(cx, NULL, false), TG_ERR_ARGUMENT);
    ck_assert_int_eq(put_into_new(cx, "a/.b/...", false), TG_OK);
    char path[1100];
    memset(path, 'a', sizeof path);
    path[1023] = 0;
    ck_assert_int_eq(put_into_new(cx, path, false), TG_OK);
    path[1023] = 'a', path[1024] = 0;
    ck_assert_int_eq(put_into_new(cx, path, false), TG_ERR_ARGUMENT);
    for (int i = 1; i < 1023; i += 2) path[i] = '/';
    path[63] = 0; /* 32 parts */
    ck_assert_int_eq(put_into_new(cx, path, false), TG_OK);
    path[63] = '/', path[65] = 0;
    ck_assert_int_eq(put_into_new(cx, path, false), TG_ERR_ARGUMENT);
    tg_context_free(cx);
}
END_TEST

START_TEST(has_one_entry_a_path_and_no_array_that_is_a_group)
{
    tg_context *cx = tg_context_new(NULL);
    ck_assert_int_eq(put_into_new(cx, "x/W", false), TG_ERR_EXISTS);
    ck_assert_ptr_nonnull(strstr(tg_context_message(cx), "'x/W' is there already"));
    ck_assert_int_eq(put_into_new(cx, "n/one", true), TG_ERR_EXISTS);
    ck_assert_int_eq(put_into_new(cx, "x/W/deep/er", false), TG_ERR_EXISTS);
    ck_assert_int_eq(put_into_new(cx, "x", true), TG_ERR_EXISTS);
    ck_assert_int_eq(put_into_new(cx, "n", true), TG_ERR_EXISTS);
    ck_assert_int_eq(put_into_new(cx, "n", false), TG_OK); /* a value beside a group of its name */
    ck_assert_int_eq(put_into_new(cx, "n/one/two", false), TG_OK);
    ck_assert_int_eq(put_into_new(cx, "x/W2", true), TG_OK);
    tg_context_free(cx);
}
END_TEST

START_TEST(keeps_the_first_failure)
{
    tg_context *cx = tg_context_new(NULL);
    tg_archive *a = tg_archive_new(cx);
    ck_assert_int_eq(tg_archive_put_integer(a, "n", 1), TG_OK);
    ck_assert_int_eq(tg_archive_put_integer(a, "n", 2), TG_ERR_EXISTS);
    ck_assert_int_eq(tg_archive_put_integer(a, "", 2), TG_ERR_EXISTS);
    ck_assert_int_eq(tg_archive_put_text(a, "t", NULL), TG_ERR_EXISTS);
    ck_assert_int_eq(tg_archive_put_texts(a, "t", -1, NULL), TG_ERR_EXISTS);
    ck_assert_int_eq(tg_archive_put_array(a, "t", TG_TEXT, 9, NULL, NULL), TG_ERR_EXISTS);
    ck_assert_int_eq(tg_archive_status(a), TG_ERR_EXISTS);
    ck_assert_ptr_nonnull(strstr(tg_context_message(cx), "'n' is there already"));
    ck_assert_int_eq(tg_archive_count(a), 1);
    tg_archive_free(a);
    tg_context_free(cx);
}
END_TEST

START_TEST(refuses_arrays_that_cannot_be)
{
    tg_context *cx = tg_context_new(NULL);
    const char x[8] = "";
    const struct {
        tg_type type;
        int rank, dim[4];
        const void *data;
        tg_status status;
    } row[] = {
        { TG_BYTES, 1, { 8 }, x, TG_OK },
        { TG_TEXT, 1, { 8 }, x, TG_ERR_ARGUMENT },
        { (tg_type)17, 1, { 8 }, x, TG_ERR_ARGUMENT },
        { TG_BYTES, -1, { 8 }, x, TG_ERR_ARGUMENT },
        { TG_BYTES, 5, { 1, 1, 1, 1 }, x, TG_ERR_ARGUMENT },
        { TG_BYTES, 1, { -1 }, x, TG_ERR_ARGUMENT },
        { TG_BYTES, 1, { 8 }, NULL, TG_ERR_ARGUMENT },
        { TG_INT64,
          4,
          { INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX },
          x,
          TG_ERR_MEMORY }, /* the product overflows */
        { TG_INT64, 2, { INT32_MAX, INT32_MAX }, x, TG_ERR_MEMORY },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        tg_archive *a = tg_archive_new(cx);
        ck_assert_msg(tg_archive_put_array(a, "x", row[i].type, row[i].rank, row[i].dim, row[i].data) ==
                          row[i].status,
                      "row %zu: %s", i, tg_context_message(cx));
        ck_assert_int_eq(tg_archive_count(a), row[i].status ? 0 : 1);
        tg_archive_free(a);
    }
    tg_context_free(cx);
}
END_TEST

START_TEST(survives_every_refused_allocation_and_owes_nothing)
{
    long n = 1;
    for (bool whole = false; !whole; n++) {
        tg_context *cx = counting_context();
        const long before = live;
        refuse_at = allocations + n;
        tg_archive *a = tg_archive_new(cx);
        tg_status s = tg_archive_put_integer(a, "n", 1);
        tg_archive_put_texts(a, "t", 2, (const char *const[]){ "a", "b" });
        tg_archive_put_array(a, "x", TG_BYTES, 1, (int[]){ 3 }, "abc");
        s = tg_archive_status(a);
        whole = allocations < refuse_at;
        ck_assert_int_eq(s, whole ? TG_OK : TG_ERR_MEMORY);
        if (!whole) ck_assert_ptr_nonnull(strstr(tg_context_message(cx), "out of memory"));
        ck_assert_int_eq(tg_archive_count(a), whole ? 3 : tg_archive_has(a, "n") + tg_archive_has(a, "t"));
        tg_archive_free(a);
        ck_assert_int_eq(live, before);
        ck_assert(tg_context_ok(cx)); /* and poisons nothing */
        tg_context_free(cx);
        ck_assert_int_eq(live, 0);
    }
    ck_assert_int_gt(n, 5);
}
END_TEST

TG_TEST_MAIN("tensor/archive", gives_back_what_was_put, is_walked_in_the_order_of_putting,
             says_what_does_not_fit_and_leaves_the_caller_alone, refuses_paths_that_are_none,
             has_one_entry_a_path_and_no_array_that_is_a_group, keeps_the_first_failure,
             refuses_arrays_that_cannot_be, survives_every_refused_allocation_and_owes_nothing)
