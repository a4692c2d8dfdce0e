/* tests/test_models_examples.c -- the example programs, run as a user runs them: their losses fall, what
 * is wrong is one sentence and exit status 1, and the language model can be killed at any moment.
 * EXAMPLE_ARRAYS and its like are the programs' paths, from the build. */
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tidegate/tidegate.h>

#include "check_main.h"

enum { STEPS = 60, MOST_SAID = 65536 };

/* ---- running a program ---- */

typedef struct running {
    pid_t pid;
    FILE *said; /* both of its outputs */
} running;

static running start(const char *program, const char *const arguments[])
{
    int end[2];
    running r;
    ck_assert_int_eq(pipe(end), 0);
    r.pid = fork();
    ck_assert_int_ge(r.pid, 0);
    if (!r.pid) {
        char *argv[8] = { strdup(program) };
        for (int i = 0; arguments[i]; i++) argv[i + 1] = strdup(arguments[i]);
        dup2(end[1], 1);
        dup2(end[1], 2);
        close(end[0]);
        close(end[1]);
        execv(program, argv);
        _exit(127);
    }
    close(end[1]);
    r.said = fdopen(end[0], "r");
    return r;
}

/* Its exit status, or 128 + the signal that ended it. */
static int finish(running *r)
{
    int status;
    fclose(r->said);
    ck_assert_int_eq(waitpid(r->pid, &status, 0), r->pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Runs it to its end, and keeps what it says. */
static int run(char said[MOST_SAID], const char *program, const char *const arguments[])
{
    running r = start(program, arguments);
    const size_t n = fread(said, 1, MOST_SAID - 1, r.said);
    said[n] = 0;
    return finish(&r);
}

#define ARGUMENTS(...)                                                                                       \
    (const char *const[]) { __VA_ARGS__, NULL }

static int lines_in(const char *text)
{
    int n = 0;
    for (; *text; text++) n += *text == '\n';
    return n;
}

/* ---- what they say ---- */

static void check_falls(const char *program, const char *steps, const char *before_number, double factor)
{
    static char said[MOST_SAID];
    ck_assert_int_eq(run(said, program, ARGUMENTS(steps)), 0);
    double first = 0, last = 0;
    int n = 0;
    for (const char *p = said; (p = strstr(p, before_number)); n++) {
        p += strlen(before_number);
        last = atof(p);
        if (!n) first = last;
    }
    ck_assert_msg(n >= 2 && last > 0 && last < factor * first, "%s %s: from %g to %g:\n%s", program, steps,
                  first, last, said);
}

START_TEST(losses_of_the_examples_fall)
{
    check_falls(EXAMPLE_ARRAYS, "300", "error ", 0.2);
    check_falls(EXAMPLE_ENCODER_DECODER, "101", "loss ", 0.5);
}
END_TEST

START_TEST(wrong_arguments_give_one_line_and_status_1)
{
    static char said[MOST_SAID];
    ck_assert_int_eq(run(said, EXAMPLE_ARRAYS, ARGUMENTS("none")), 1);
    ck_assert_int_eq(lines_in(said), 1);
    ck_assert_int_eq(run(said, EXAMPLE_ENCODER_DECODER, ARGUMENTS("1", "2")), 1);
    ck_assert_int_eq(lines_in(said), 1);
    ck_assert_int_eq(run(said, EXAMPLE_LANGUAGE_MODEL, ARGUMENTS("corpus")), 1);
    ck_assert_int_eq(lines_in(said), 1);
    ck_assert_int_eq(run(said, EXAMPLE_LANGUAGE_MODEL, ARGUMENTS("/nowhere/corpus", "/nowhere/lm.h5", "1")),
                     1);
    ck_assert_str_eq(said, "language_model: /nowhere/corpus cannot be opened\n");
}
END_TEST

/* ---- the language model ---- */

typedef struct place {
    char directory[64], corpus[96], straight[96], broken[96];
} place;

static place place_new(void)
{
    place p = { .directory = "/tmp/tidegate-examples-XXXXXX" };
    ck_assert_ptr_nonnull(mkdtemp(p.directory));
    snprintf(p.corpus, sizeof p.corpus, "%s/corpus", p.directory);
    snprintf(p.straight, sizeof p.straight, "%s/straight.h5", p.directory);
    snprintf(p.broken, sizeof p.broken, "%s/broken.h5", p.directory);
    FILE *f = fopen(p.corpus, "w"); /* 32 tracks of 296 bytes, four windows of 64 in each: 15 epochs */
    for (int i = 0, c = 'a'; i < 9500; i++) {
        c = i % 7 ? 'a' + (c * 5 + i % 3) % 26 : ' ';
        fputc(c, f);
    }
    fclose(f);
    return p;
}

static void place_remove(const place *p)
{
    char part[112];
    unlink(p->corpus);
    unlink(p->straight);
    unlink(p->broken);
    snprintf(part, sizeof part, "%s.part", p->broken); /* a killed save leaves it */
    unlink(part);
    ck_assert_int_eq(rmdir(p->directory), 0);
}

static void run_model(const place *p, const char *checkpoint, const char *steps)
{
    static char said[MOST_SAID];
    ck_assert_msg(run(said, EXAMPLE_LANGUAGE_MODEL, ARGUMENTS(p->corpus, checkpoint, steps, "24")) == 0, "%s",
                  said);
}

/* kill -9, `microseconds` after the line about step `step`; false: it had ended by then. */
static bool run_and_kill(const place *p, int step, int microseconds)
{
    running r = start(EXAMPLE_LANGUAGE_MODEL, ARGUMENTS(p->corpus, p->broken, "60", "24"));
    char line[512];
    int at = -1;
    while (at < step && fgets(line, sizeof line, r.said))
        if (!strncmp(line, "step ", 5)) at = atoi(line + 5);
    usleep((useconds_t)microseconds);
    kill(r.pid, SIGKILL);
    return finish(&r) == 128 + SIGKILL;
}

static bool is_compared(const char *path)
{
    return !strncmp(path, "parameters/", 11) || !strncmp(path, "optimizer/", 10) ||
           !strncmp(path, "training/", 9);
}

static size_t bytes_of(const tg_entry *e)
{
    static const size_t size[] = {
        [TG_INT64] = 8, [TG_FLOAT64] = 8, [TG_FLOAT32] = 4, [TG_INT32] = 4, [TG_BYTES] = 1
    };
    if (e->type == TG_TEXT) return strlen(e->data) + 1;
    size_t n = size[e->type];
    for (int i = 0; e->array && i < e->rank; i++) n *= (size_t)e->dim[i];
    return n;
}

/* Everything that training goes on from, bit for bit. */
static void check_same(const char *path_a, const char *path_b)
{
    tg_context *cx = tg_context_new(NULL);
    tg_archive *a, *b;
    int compared = 0;
    ck_assert_msg(tg_checkpoint_read(cx, path_a, &a) == TG_OK, "%s", tg_context_message(cx));
    ck_assert_msg(tg_checkpoint_read(cx, path_b, &b) == TG_OK, "%s", tg_context_message(cx));
    ck_assert_int_eq(tg_archive_count(a), tg_archive_count(b));
    for (int i = 0; i < tg_archive_count(a); i++) {
        tg_entry x, y;
        tg_archive_entry(a, i, &x);
        tg_archive_entry(b, i, &y);
        ck_assert_str_eq(x.path, y.path);
        if (!is_compared(x.path) || (x.array && x.type == TG_TEXT)) continue;
        ck_assert_msg(x.type == y.type && bytes_of(&x) == bytes_of(&y) &&
                          !memcmp(x.data, y.data, bytes_of(&x)),
                      "%s differs", x.path);
        compared++;
    }
    ck_assert_int_gt(compared, 30);
    int64_t step;
    ck_assert_int_eq(tg_archive_get_integer(a, "training/step", &step), TG_OK);
    ck_assert_int_eq(step, STEPS);
    tg_archive_free(a);
    tg_archive_free(b);
    tg_context_free(cx);
}

START_TEST(killed_and_resumed_language_model_ends_in_the_same_bits)
{
    static const struct {
        int step, microseconds;
    } moments[] = { { 10, 0 }, { 20, 3000 }, { 30, 20000 }, { 40, 700 }, { 50, 11000 } };
    const place p = place_new();
    int killed = 0;
    run_model(&p, p.straight, "60");
    for (size_t k = 0; k < sizeof moments / sizeof *moments; k++) {
        unlink(p.broken);
        killed += run_and_kill(&p, moments[k].step, moments[k].microseconds);
        run_model(&p, p.broken, "60");
        check_same(p.straight, p.broken);
    }
    ck_assert_int_ge(killed, 3);
    place_remove(&p);
}
END_TEST

START_TEST(language_model_killed_again_and_again_ends_in_the_same_bits)
{
    const place p = place_new();
    run_model(&p, p.straight, "60");
    for (int k = 0; k < 5; k++) {
        run_and_kill(&p, -1, 25000 * k); /* while it starts, or loads, or wherever that is */
        run_and_kill(&p, 10 * (k + 1), 1500 * k);
    }
    run_model(&p, p.broken, "60");
    check_same(p.straight, p.broken);
    place_remove(&p);
}
END_TEST

START_TEST(language_model_stopped_and_continued_ends_in_the_same_bits)
{
    const place p = place_new();
    run_model(&p, p.straight, "60");
    run_model(&p, p.broken, "7"); /* in the middle of an epoch, off the grid of saves */
    run_model(&p, p.broken, "33");
    run_model(&p, p.broken, "60");
    check_same(p.straight, p.broken);

    static char said[MOST_SAID]; /* another size does not fit the checkpoint, and does not harm it */
    ck_assert_int_eq(run(said, EXAMPLE_LANGUAGE_MODEL, ARGUMENTS(p.corpus, p.broken, "70", "32")), 1);
    ck_assert_int_eq(lines_in(said), 1);
    check_same(p.straight, p.broken);
    place_remove(&p);
}
END_TEST

START_TEST(language_model_goes_on_within_a_text_that_has_become_shorter)
{
    const place p = place_new();
    run_model(&p, p.straight, "3"); /* three of the four windows of the first epoch */
    ck_assert_int_eq(truncate(p.corpus, 2200), 0);
    run_model(&p, p.straight, "5"); /* one window is left: every step ends an epoch */
    tg_context *cx = tg_context_new(NULL);
    tg_archive *a;
    int64_t position, epoch;
    ck_assert_int_eq(tg_checkpoint_read(cx, p.straight, &a), TG_OK);
    ck_assert_int_eq(tg_archive_get_integer(a, "training/position", &position), TG_OK);
    ck_assert_int_eq(tg_archive_get_integer(a, "training/epoch", &epoch), TG_OK);
    ck_assert_int_eq(position, 0);
    ck_assert_int_eq(epoch, 1 + 2);
    tg_archive_free(a);
    tg_context_free(cx);
    place_remove(&p);
}
END_TEST

/* The killing is a test case of its own, for CK_RUN_CASE. */
int main(void)
{
    Suite *suite = suite_create("models/examples");
    TCase *all = tcase_create("all"), *killed = tcase_create("killed");
    tcase_set_timeout(all, 60);
    tcase_set_timeout(killed, 60);
    tcase_add_test(all, losses_of_the_examples_fall);
    tcase_add_test(all, wrong_arguments_give_one_line_and_status_1);
    tcase_add_test(all, language_model_stopped_and_continued_ends_in_the_same_bits);
    tcase_add_test(all, language_model_goes_on_within_a_text_that_has_become_shorter);
    tcase_add_test(killed, killed_and_resumed_language_model_ends_in_the_same_bits);
    tcase_add_test(killed, language_model_killed_again_and_again_ends_in_the_same_bits);
    suite_add_tcase(suite, all);
    suite_add_tcase(suite, killed);
    return run_suite(suite);
}
