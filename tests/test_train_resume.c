/* tests/test_train_resume.c -- a run that was interrupted, in whatever way, ends in the same bits. */
#include "train_case_fixture.h"

#include "hdf5/sealed.h"

static double restless(int64_t step) { return 1 + (double)(step * 7 % 11); }

static const run_case cases[] = {
    { "epochs", { .seed = 1, .batches = 7 }, 0, 8, 10, 0, 0, 0, { .kind = TG_CONSTANT } },
    { "mid-epoch", { .seed = 2, .batches = 13 }, 60, 0, 10, 9, 4, 0, { .kind = TG_COSINE, .warmup = 5 } },
    { "no epochs", { .seed = 3 }, 60, 0, 7, 10, 8, 0, { .kind = TG_STEP, .period = 20 } },
    { "dropout",
      { .seed = 4, .batches = 11, .dropout = (tg_real)0.4 },
      60,
      0,
      10,
      20,
      5,
      0,
      { .kind = TG_CONSTANT } },
    { "carried",
      { .seed = 5, .batches = 9, .carries = true, .dropout = (tg_real)0.2 },
      60,
      0,
      10,
      20,
      7,
      0,
      { .kind = TG_CONSTANT } },
    { "momentum",
      { .seed = 6, .batches = 9, .optimizer = "nesterov", .carries = true },
      60,
      0,
      11,
      0,
      6,
      0,
      { .kind = TG_EXPONENTIAL } },
    { "plateau",
      { .seed = 7, .batches = 5, .tell = restless },
      60,
      0,
      10,
      3,
      7,
      0,
      { .kind = TG_PLATEAU, .patience = 2, .gamma = (tg_real)0.5 } },
    { "bad steps",
      { .seed = 8, .batches = 9, .bad_from = 20, .bad_until = 24, .dropout = (tg_real)0.3 },
      60,
      0,
      10,
      12,
      3,
      0,
      { .kind = TG_CONSTANT } },
    { "frozen by patience",
      { .seed = 9, .batches = 4, .optimizer = "rmsprop" },
      60,
      0,
      10,
      2,
      5,
      3,
      { .kind = TG_CONSTANT } },
};
enum { CASES = sizeof cases / sizeof *cases };

START_TEST(same_run_twice_is_the_same)
{
    char x[256], y[256];
    straight_run(&cases[4], x);
    straight_run(&cases[4], y);
    assert_same_run(&cases[4], x, y, "twice");
    remove_directory(x);
    remove_directory(y);
}
END_TEST

START_TEST(hard_stop_at_a_step_and_resume_equal_a_straight_run)
{
    static const int64_t ks[] = { 0, 1, 7, 22, 41, 59 };
    char straight[256], how[64];
    const run_case *c = &cases[_i];
    straight_run(c, straight);
    for (size_t i = 0; i < sizeof ks / sizeof *ks; i++) {
        const char *d = fresh_directory();
        snprintf(how, sizeof how, "stopped in step %d", (int)ks[i]);
        train_until(c, d, false, ks[i]);
        tg_training_result result;
        ck_assert_int_eq(train(c, d, true, &result), TG_OK);
        ck_assert_str_eq(result.resumed_from, in(d, "last.h5").s);
        assert_same_run(c, straight, d, how);
        remove_directory(d);
    }
    remove_directory(straight);
}
END_TEST

START_TEST(many_hard_stops_in_a_row_equal_a_straight_run)
{
    char straight[256];
    const run_case *c = &cases[4];
    straight_run(c, straight);
    const char *d = fresh_directory();
    train_until(c, d, false, 3);
    for (int64_t k = 8; k < 60; k += 7) ck_assert(train_until(c, d, true, k));
    ck_assert(!train_until(c, d, true, 1000));
    assert_same_run(c, straight, d, "stopped every seven steps");
    remove_directory(d);
    remove_directory(straight);
}
END_TEST

/* TIDEGATE_KILLS: how many, for a long night. */
START_TEST(kill_at_a_random_moment_and_resume_equal_a_straight_run)
{
    const char *wish = getenv("TIDEGATE_KILLS");
    const int kills = wish ? atoi(wish) : 20;
    int done = 0, killed = 0;
    unsigned random = 12345;
    const run_case *c = &cases[_i];
    char straight[256], d[256];
    straight_run(c, straight);
    for (snprintf(d, sizeof d, "%s", fresh_directory()); done < kills; done++) {
        const bool resume = exists(d, "last.h5");
        fflush(NULL);
        const pid_t child = fork();
        if (!child) _exit(train(c, d, resume, NULL) ? 1 : 0);
        random = random * 1664525u + 1013904223u;
        usleep(2000 + (random >> 8) % 60000);
        kill(child, SIGKILL);
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        if (WIFSIGNALED(status)) {
            killed++;
            continue;
        }
        ck_assert_int_eq(status, 0);
        assert_same_run(c, straight, d, "killed");
        remove_directory(d);
        snprintf(d, sizeof d, "%s", fresh_directory());
    }
    ck_assert_int_gt(killed, kills / 4);
    if (exists(d, "last.h5")) {
        ck_assert_int_eq(train(c, d, true, NULL), TG_OK);
        assert_same_run(c, straight, d, "killed");
    }
    remove_directory(d);
    remove_directory(straight);
}
END_TEST

START_TEST(longer_limit_goes_on_where_the_shorter_one_ended)
{
    run_case c = cases[4]; /* its validations are at 20, 40 and 60 */
    char straight[256], d[256];
    straight_run(&c, straight);
    c.steps = 40;
    straight_run(&c, d);
    c.steps = 60;
    ck_assert_int_eq(train(&c, d, true, NULL), TG_OK);
    assert_same_run(&c, straight, d, "40 steps, then 60");
    remove_directory(d);
    remove_directory(straight);
}
END_TEST

START_TEST(validation_history_is_kept_in_run_and_goes_on)
{
    run_case c = cases[4]; /* its validations are at 20, 40 and 60 */
    char d[256], path[300];
    c.steps = 40;
    straight_run(&c, d);
    c.steps = 60;
    ck_assert_int_eq(train(&c, d, true, NULL), TG_OK);
    snprintf(path, sizeof path, "%s/last.h5", d);
    tg_context *cx = tg_context_new(NULL);
    tg_archive *a;
    ck_assert_int_eq(tg_checkpoint_read(cx, path, &a), TG_OK);
    int64_t step[3];
    double loss[3];
    ck_assert_int_eq(tg_archive_get_array(a, "run/validation/step", TG_INT64, 1, (int[]){ 3 }, step), TG_OK);
    ck_assert_int_eq(tg_archive_get_array(a, "run/validation/loss", TG_FLOAT64, 1, (int[]){ 3 }, loss),
                     TG_OK);
    for (int i = 0; i < 3; i++) ck_assert(step[i] == 20 * (i + 1) && isfinite(loss[i]));
    ck_assert(loss[0] != loss[1] && loss[1] != loss[2]);
    tg_archive_free(a);
    tg_context_free(cx);
    remove_directory(d);
}
END_TEST

START_TEST(complete_run_says_so_and_stays)
{
    char d[256];
    tg_training_result result;
    straight_run(&cases[1], d);
    char *before = text_of(d, "metrics.csv");
    ck_assert_int_eq(train(&cases[1], d, true, &result), TG_OK);
    char *after = text_of(d, "metrics.csv");
    ck_assert_str_eq(before, after);
    ck_assert_int_eq(result.reason, TG_STOP_DONE);
    ck_assert_int_eq(result.progress.step, 60);
    free(before);
    free(after);
    remove_directory(d);
}
END_TEST

START_TEST(run_that_ran_out_of_patience_is_complete)
{
    static const run_case c = {
        "patience",
        { .seed = 9, .batches = 4, .optimizer = "rmsprop", .bad_from = 10, .bad_until = 14 },
        60,
        0,
        10,
        1,
        5,
        2,
        { .kind = TG_CONSTANT }
    };
    char d[256], copy[256];
    tg_training_result first, again;
    stop_at = -1;
    snprintf(d, sizeof d, "%s", fresh_directory());
    ck_assert_int_eq(train(&c, d, false, &first), TG_OK);
    ck_assert_int_eq(first.reason, TG_STOP_PATIENCE); /* skipped steps leave the validation loss as it was */
    ck_assert_int_eq(train(&c, d, true, &again), TG_OK);
    ck_assert_int_eq(again.reason, TG_STOP_PATIENCE);
    ck_assert_int_eq(again.progress.step, first.progress.step);
    straight_run(&c, copy);
    assert_same_run(&c, copy, d, "resumed when complete");
    remove_directory(d);
    remove_directory(copy);
}
END_TEST

/* ---- a checkpoint that cannot be read ---- */

static void damage(const char *directory, const char *file)
{
    FILE *f = fopen(in(directory, file).s, "r+");
    ck_assert_ptr_nonnull(f);
    fseek(f, -100, SEEK_END);
    const int c = fgetc(f);
    fseek(f, -1, SEEK_CUR);
    fputc(c ^ 1, f);
    fclose(f);
}

static void fall_back(void (*spoil)(const char *directory), const char *word)
{
    const run_case *c = &cases[4];
    char straight[256], d[256], *said = NULL;
    size_t bytes = 0;
    straight_run(c, straight);
    snprintf(d, sizeof d, "%s", fresh_directory());
    ck_assert(train_until(c, d, false, 40)); /* last.h5 is of step 35, last.h5.1 of step 28 */
    spoil(d);

    /* the resumed run dies as well, after its first save */
    ck_assert(train_until(c, d, true, 38));
    tg_context *cx = tg_context_new(NULL);
    ck_assert_int_eq(tg_checkpoint_verify(cx, in(d, "last.h5").s), TG_OK);
    ck_assert_int_eq(tg_checkpoint_verify(cx, in(d, "last.h5.1").s), TG_OK); /* not the damaged one */
    tg_context_free(cx);
    spoil(d);

    net *n = net_new(&c->net);
    tg_training g = net_training(n, d);
    FILE *talk = open_memstream(&said, &bytes);
    tg_schedule schedule = c->schedule;
    g.steps = c->steps, g.log_every = c->log_every, g.valid_every = c->valid_every,
    g.checkpoint_every = c->checkpoint_every;
    g.schedule = &schedule, g.resume = true, g.talk = talk, n->note = 4711;
    tg_training_result result;
    ck_assert_train(&g, TG_OK, &result);
    fclose(talk);
    ck_assert_str_eq(result.resumed_from, in(d, "last.h5.1").s);
    ck_assert_msg(strstr(said, word) && strstr(said, "last.h5.1"), "%s", said);
    ck_assert_msg(!strstr(n->log, "last.h5.1"), "told twice: %s", n->log);
    assert_same_run(c, straight, d, "gone back");
    free(said);
    net_free(n);
    remove_directory(d);
    remove_directory(straight);
}

static void damage_last(const char *directory) { damage(directory, "last.h5"); }
static void remove_last(const char *directory) { unlink(in(directory, "last.h5").s); }
static void replace_last(const char *directory)
{
    FILE *f = fopen(in(directory, "last.h5").s, "w");
    fputs("this is no checkpoint\n", f);
    fclose(f);
}

START_TEST(damaged_checkpoint_goes_back_to_the_one_before) { fall_back(damage_last, "last.h5"); }
END_TEST
START_TEST(absent_checkpoint_goes_back_to_the_one_before) { fall_back(remove_last, "last.h5"); }
END_TEST
START_TEST(foreign_file_goes_back_to_the_one_before) { fall_back(replace_last, "last.h5"); }
END_TEST

START_TEST(two_damaged_checkpoints_are_an_error)
{
    char d[256];
    straight_run(&cases[4], d);
    damage(d, "last.h5");
    damage(d, "last.h5.1");
    ck_assert_int_eq(train(&cases[4], d, true, NULL), TG_ERR_DAMAGED);
    ck_assert_msg(strstr(message, "last.h5:") && strstr(message, "last.h5.1"), "%s", message);
    unlink(in(d, "last.h5.1").s);
    ck_assert_int_eq(train(&cases[4], d, true, NULL), TG_ERR_DAMAGED);
    ck_assert_msg(strstr(message, "last.h5:") && strstr(message, "no last.h5.1"), "%s", message);
    unlink(in(d, "last.h5").s);
    ck_assert_int_eq(train(&cases[4], d, true, NULL), TG_ERR_ABSENT);
    remove_directory(d);
    ck_assert_int_eq(train(&cases[4], d, true, NULL), TG_ERR_ABSENT);
    ck_assert(access(d, F_OK)); /* nothing was made */
}
END_TEST

START_TEST(checkpoint_of_another_model_changes_nothing)
{
    char d[256];
    run_case other = cases[4];
    straight_run(&cases[4], d);
    other.net.rnn.cell = TG_GRU_RESET_AFTER;
    char *before = text_of(d, "metrics.csv");
    ck_assert_int_ne(train(&other, d, true, NULL), TG_OK);
    char *after = text_of(d, "metrics.csv");
    ck_assert_str_eq(before, after);
    free(before);
    free(after);
    remove_directory(d);
}
END_TEST

/* ---- a checkpoint of elsewhere ---- */

START_TEST(checkpoint_of_another_machine_goes_on_and_says_so)
{
    char straight[256], d[256], *said = NULL;
    size_t bytes = 0;
    straight_run(&cases[4], straight);
    snprintf(d, sizeof d, "%s", fresh_directory());
    ck_assert(train_until(&cases[4], d, false, 40));
    tg_context *cx = tg_context_new(NULL);
    tg_archive *a, *other = tg_archive_new(cx);
    ck_assert_int_eq(tg_checkpoint_read(cx, in(d, "last.h5").s, &a), TG_OK);
    for (int i = 0; i < tg_archive_count(a); i++) {
        tg_entry e;
        tg_archive_entry(a, i, &e);
        if (!strcmp(e.path, "run/openblas_core")) e.data = "Katmai";
        if (!strcmp(e.path, "run/simd_variant")) e.data = "mmx";
        if (e.array)
            tg_archive_put_array(other, e.path, e.type, e.rank, e.dim, e.data);
        else if (e.type == TG_TEXT)
            tg_archive_put_text(other, e.path, e.data);
        else if (e.type == TG_INT64)
            tg_archive_put_integer(other, e.path, *(const int64_t *)e.data);
        else
            tg_archive_put_number(other, e.path, *(const double *)e.data);
    }
    ck_assert_int_eq(tg__sealed_save(cx, other, in(d, "last.h5").s, false), TG_OK);
    tg_archive_free(a);
    tg_archive_free(other);
    tg_context_free(cx);

    net *n = net_new(&cases[4].net);
    tg_training g = net_training(n, d);
    g.steps = 60, g.valid_every = 20, g.checkpoint_every = 7, g.resume = true,
    g.talk = open_memstream(&said, &bytes), n->note = 4711;
    tg_schedule schedule = cases[4].schedule;
    g.schedule = &schedule;
    ck_assert_train(&g, TG_OK, NULL);
    fclose(g.talk);
    ck_assert_msg(strstr(said, "Katmai") && strstr(said, "mmx") && strstr(said, "may differ"), "%s", said);
    ck_assert_msg(!strstr(n->log, "Katmai"), "told twice: %s", n->log);
    assert_same_run(&cases[4], straight, d, "another machine");
    free(said);
    net_free(n);
    remove_directory(d);
    remove_directory(straight);
}
END_TEST

START_TEST(another_rate_is_taken_and_told)
{
    char d[256], *said = NULL;
    size_t bytes = 0;
    straight_run(&cases[4], d);
    net *n = net_new(&cases[4].net);
    tg_training g = net_training(n, d);
    tg_optimizer_set_rate(n->optimizer, (tg_real)0.5);
    g.steps = 70, g.resume = true, g.talk = open_memstream(&said, &bytes);
    ck_assert_train(&g, TG_OK, NULL);
    fclose(g.talk);
    ck_assert_msg(strstr(said, "rate was 0.01, now it is 0.5") != NULL, "%s", said);
    char *rows = text_of(d, "metrics.csv");
    ck_assert_ptr_nonnull(strstr(rows, ",0.5,"));
    free(rows);
    free(said);
    net_free(n);
    remove_directory(d);
}
END_TEST

/* ---- a time budget ---- */

static void slow(int64_t step)
{
    (void)step;
    usleep(1000);
}

START_TEST(run_in_slices_of_time_equals_a_straight_run)
{
    char straight[256], d[256];
    tg_training_result result = { .reason = TG_STOP_TIME };
    int slices = 0;
    straight_run(&cases[4], straight);
    for (snprintf(d, sizeof d, "%s", fresh_directory()); result.reason == TG_STOP_TIME; slices++) {
        net_config config = cases[4].net;
        config.at_step = slow;
        net *n = net_new(&config);
        tg_training g = net_training(n, d);
        g.steps = 60, g.valid_every = 20, g.checkpoint_every = 7, g.resume = slices > 0, g.seconds = 0.02,
        n->note = 4711;
        tg_schedule schedule = cases[4].schedule;
        g.schedule = &schedule;
        ck_assert_train(&g, TG_OK, &result);
        net_free(n);
    }
    ck_assert_int_eq(result.reason, TG_STOP_DONE);
    ck_assert_int_gt(slices, 2);
    assert_same_run(&cases[4], straight, d, "in slices");
    remove_directory(d);
    remove_directory(straight);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("train/resume");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 120);
    tcase_add_test(all, same_run_twice_is_the_same);
    tcase_add_loop_test(all, hard_stop_at_a_step_and_resume_equal_a_straight_run, 0, CASES);
    tcase_add_test(all, many_hard_stops_in_a_row_equal_a_straight_run);
    tcase_add_loop_test(all, kill_at_a_random_moment_and_resume_equal_a_straight_run, 4, 6);
    tcase_add_test(all, longer_limit_goes_on_where_the_shorter_one_ended);
    tcase_add_test(all, validation_history_is_kept_in_run_and_goes_on);
    tcase_add_test(all, complete_run_says_so_and_stays);
    tcase_add_test(all, run_that_ran_out_of_patience_is_complete);
    tcase_add_test(all, damaged_checkpoint_goes_back_to_the_one_before);
    tcase_add_test(all, absent_checkpoint_goes_back_to_the_one_before);
    tcase_add_test(all, foreign_file_goes_back_to_the_one_before);
    tcase_add_test(all, two_damaged_checkpoints_are_an_error);
    tcase_add_test(all, checkpoint_of_another_model_changes_nothing);
    tcase_add_test(all, checkpoint_of_another_machine_goes_on_and_says_so);
    tcase_add_test(all, another_rate_is_taken_and_told);
    tcase_add_test(all, run_in_slices_of_time_equals_a_straight_run);
    suite_add_tcase(suite, all);
    return run_suite(suite);
}
