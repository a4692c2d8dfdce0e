/* tests/test_train_changes.c -- a run that goes on with other data, other limits, another rate. */
#include "train_case_fixture.h"

/* ---- other data, other limits ---- */

/* Goes on with the run in `directory` under other settings -> what was said; the caller frees it. */
static char *go_on(const run_case *c, const char *directory, int batches, int epochs, double lr,
                   tg_training_result *result)
{
    char *said = NULL;
    size_t bytes = 0;
    net_config config = c->net;
    config.batches = batches;
    net *n = net_new(&config);
    n->note = 4711;
    tg_schedule schedule = c->schedule;
    tg_training g = net_training(n, directory);
    if (lr > 0) schedule.lr = (tg_real)lr, tg_optimizer_set_rate(n->optimizer, (tg_real)lr);
    g.epochs = epochs, g.log_every = 1, g.schedule = &schedule, g.resume = true;
    g.talk = open_memstream(&said, &bytes);
    ck_assert_train(&g, TG_OK, result);
    fclose(g.talk);
    net_free(n);
    return said;
}

/* The rate in the row of that step; -1: there is none. */
static double rate_at(const char *directory, long step)
{
    char *text = text_of(directory, "metrics.csv");
    double rate = -1;
    for (char *line = strchr(text, '\n') + 1; *line; line = strchr(line, '\n') + 1) {
        char *field = line;
        if (strtol(line, NULL, 10) != step) continue;
        for (int i = 0; i < 4; i++) field = strchr(field, ',') + 1;
        rate = atof(field);
    }
    free(text);
    return rate;
}

START_TEST(rate_goes_on_with_more_or_fewer_data_and_with_more_epochs)
{
    static const tg_schedule_kind kinds[] = { TG_COSINE, TG_EXPONENTIAL, TG_STEP };
    static const struct {
        int batches, epochs;
        long end;
    } other[] = { { 30, 20, 50 + 15 * 30 }, { 4, 20, 50 + 15 * 4 }, { 10, 40, 400 } };
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < 3; i++) {
            const char *d = fresh_directory();
            const run_case c = { .name = "changes",
                                 .net = { .seed = 1, .batches = 10 },
                                 .epochs = 20,
                                 .log_every = 1,
                                 .checkpoint_every = 10,
                                 .schedule = { .kind = kinds[k], .warmup = 5, .gamma = (tg_real)0.9 } };
            ck_assert(train_until(&c, d, false, 50)); /* after five of twenty epochs */
            tg_training_result result;
            char *said = go_on(&c, d, other[i].batches, other[i].epochs, 0, &result);
            const double then = rate_at(d, 50), now = rate_at(d, 51), last = rate_at(d, other[i].end);
            ck_assert_int_eq((int)result.progress.step, (int)other[i].end);
            const double gamma = kinds[k] == TG_STEP ? 0.9 : 0.98; /* at a step of STEP the rate may fall */
            ck_assert_msg(now <= then && now > gamma * then * 0.999, "%g, then %g", then, now);
            if (kinds[k] == TG_COSINE)
                ck_assert_msg(last > 0 && last < 1e-4 &&
                                  strstr(said, "schedule cosine goes on from the rate"),
                              "%g: %s", last, said);
            if (kinds[k] != TG_COSINE && i < 2) /* as many epochs, as low a rate */
                ck_assert_msg(fabs(last / (0.01 * pow(0.9, 19.5)) - 1) < 0.12 &&
                                  strstr(said, "with a period of"),
                              "%g: %s", last, said);
            free(said);
            remove_directory(d);
        }
}
END_TEST

START_TEST(resume_after_other_data_is_exact_too)
{
    char straight[256], d[256];
    run_case c = { .name = "changes",
                   .net = { .seed = 1, .batches = 10 },
                   .epochs = 6,
                   .log_every = 1,
                   .checkpoint_every = 7,
                   .schedule = { .kind = TG_COSINE } };
    for (int i = 0; i < 2;
         i++) { /* ten batches up to step 20, then seven: in one go, and killed at step 33 */
        snprintf(i ? d : straight, 256, "%s", fresh_directory());
        c.net.batches = 10;
        ck_assert(train_until(&c, i ? d : straight, false, 22));
        c.net.batches = 7;
        if (i) ck_assert(train_until(&c, d, true, 33));
        stop_at = -1;
        ck_assert_int_eq(train(&c, i ? d : straight, true, NULL), TG_OK);
    }
    assert_same_run(&c, straight, d, "killed after other data");
    remove_directory(d);
    remove_directory(straight);
}
END_TEST

START_TEST(cosine_that_has_ended_stays_at_its_end_unless_another_rate_is_given)
{
    const run_case c = { .name = "changes",
                         .net = { .seed = 1, .batches = 10 },
                         .epochs = 3,
                         .log_every = 1,
                         .schedule = { .kind = TG_COSINE } };
    for (int i = 0; i < 2; i++) {
        char d[256];
        straight_run(&c, d);
        char *said = go_on(&c, d, 10, 6, i ? 0.005 : 0, NULL);
        ck_assert_msg((strstr(said, "a different rate would restart it") != NULL) == !i, "%s", said);
        ck_assert_double_eq_tol(rate_at(d, 31), i ? 0.005 : 0, 1e-9);
        ck_assert_double_lt(rate_at(d, 60), 1e-4);
        free(said);
        remove_directory(d);
    }
}
END_TEST

START_TEST(epoch_that_has_become_too_short_is_ended)
{
    static const struct {
        int batches, epochs;
        int64_t end;
    } other[] = { { 2, 8, 16 + 6 * 2 }, { 3, 8, 16 + 6 * 3 }, { 13, 8, 16 + 11 + 6 * 13 }, { 2, 2, 16 } };
    for (int i = 0; i < 4; i++) {
        const char *d = fresh_directory();
        run_case c = { .name = "changes", .net = { .seed = 2, .batches = 13 }, .steps = 60, .log_every = 10 };
        c.checkpoint_every = 16, c.valid_every = 0, c.schedule.kind = TG_CONSTANT;
        ck_assert(train_until(&c, d, false, 19)); /* the checkpoint is at batch 3 of epoch 1 */
        tg_training_result result;
        char *said = go_on(&c, d, other[i].batches, other[i].epochs, 0, &result);
        const int64_t end = other[i].batches == 13 ? 13 * 8 : other[i].end;
        ck_assert_int_eq((int)result.progress.step, (int)end);
        ck_assert_int_eq((int)result.progress.epoch, other[i].epochs);
        ck_assert_msg((strstr(said, "the next epoch begins") != NULL) == (other[i].batches != 13), "%s",
                      said);
        free(said);
        remove_directory(d);
    }
}
END_TEST

/* ---- best.h5 ---- */

static double best_in(const char *directory)
{
    tg_progress p;
    net *n = net_new(&(net_config){ .seed = 1, .batches = 7 });
    ck_assert_int_eq(
        tg_checkpoint_load(in(directory, "best.h5").s, &(tg_checkpoint){ .params = n->ps, .progress = &p }),
        TG_OK);
    net_free(n);
    return p.best;
}

static double falls(int64_t step) { return 100 - (double)step; }
static double worse(int64_t step) { return 100 - (double)step / 2; }

/* Validations every ten steps, checkpoints every 35: killed at step 33, best.h5 is of step 30 and last.h5 of the
 * beginning. Then on, with other losses, to a step. */
START_TEST(better_best_is_never_replaced_by_a_worse_one)
{
    static const int ends[] = { 5, 25, 30, 40, 60, 90 };
    for (int i = 0; i < 6; i++) {
        run_case c = { .name = "changes",
                       .net = { .seed = 1, .batches = 60, .tell = falls },
                       .steps = 100,
                       .valid_every = 10,
                       .checkpoint_every = 35 };
        const char *d = fresh_directory();
        ck_assert(train_until(&c, d, false, 33));
        ck_assert_double_eq(best_in(d), 70);
        c.net.tell = worse, c.steps = ends[i];
        stop_at = -1;
        tg_training_result result;
        ck_assert_int_eq(train(&c, d, true, &result), TG_OK);
        ck_assert_double_eq(best_in(d), ends[i] > 60 ? 100 - ends[i] / 2.0 : 70);
        if (ends[i] > 30) ck_assert_double_eq(result.progress.best, best_in(d));
        c.steps = 100; /* and once more */
        ck_assert_int_eq(train(&c, d, true, NULL), TG_OK);
        ck_assert_double_eq(best_in(d), 50);
        remove_directory(d);
    }
}
END_TEST

START_TEST(closing_line_tells_what_best_holds)
{
    run_case c = { .name = "changes",
                   .net = { .seed = 1, .batches = 60, .tell = falls },
                   .steps = 100,
                   .valid_every = 10,
                   .checkpoint_every = 35 };
    const char *d = fresh_directory();
    ck_assert(train_until(&c, d, false, 33));
    c.net.tell = worse;
    char *said = NULL;
    size_t bytes = 0;
    net *n = net_new(&c.net);
    tg_schedule schedule = c.schedule;
    tg_training g = net_training(n, d);
    g.steps = 20, g.valid_every = 10, g.schedule = &schedule, g.resume = true;
    g.talk = open_memstream(&said, &bytes);
    ck_assert_train(&g, TG_OK, NULL);
    fclose(g.talk);
    ck_assert_msg(strstr(said, "the best validation loss is 70 at step 30") != NULL, "%s", said);
    free(said);
    net_free(n);
    remove_directory(d);
}
END_TEST

static void stop(int64_t step)
{
    if (step == 54) raise(SIGTERM);
}

static double others(int64_t step) { return 1000 - (double)step; }

static double even_others(int64_t step) { return 2000 - (double)step; }

static tg_status with_other_validation(const char *d, int steps, bool other, double (*tell)(int64_t),
                                       tg_training_result *result)
{
    net_config config = { .seed = 1, .batches = 60, .tell = tell };
    config.at_step = stop_at >= 0 ? die : other ? stop : NULL;
    net *n = net_new(&config);
    tg_schedule schedule = { .kind = TG_PLATEAU, .patience = 3 };
    tg_training g = net_training(n, d);
    g.steps = steps, g.valid_every = 10, g.patience = 2, g.checkpoint_every = 35, g.schedule = &schedule;
    g.resume = exists(d, "last.h5"), g.other_validation = other, g.catch_signals = true;
    const tg_status s = tg_train(&g, result);
    if (other) ck_assert_msg(strstr(n->log, "the validation data have changed") != NULL, "%s", n->log);
    net_free(n);
    return s;
}

START_TEST(other_validation_data_begin_best_and_patience_anew)
{
    tg_training_result result;
    const char *d = fresh_directory();
    stop_at = -1;
    ck_assert_int_eq(with_other_validation(d, 50, false, falls, NULL), TG_OK);
    ck_assert_double_eq(best_in(d), 50);
    ck_assert_int_eq(with_other_validation(d, 100, true, others, &result),
                     TG_ERR_INTERRUPTED); /* before the first */
    ck_assert_int_eq(with_other_validation(d, 100, false, others, &result), TG_OK);
    ck_assert_int_eq(result.reason, TG_STOP_DONE);
    ck_assert_double_eq(best_in(d), 900);
    ck_assert_int_eq((int)result.progress.step, 100);
    ck_assert_int_eq(with_other_validation(d, 130, false, others, &result), TG_OK); /* the same as before */
    ck_assert_double_eq(best_in(d), 870);
    remove_directory(d);
}
END_TEST

START_TEST(best_on_other_validation_data_is_known_after_a_kill)
{
    const char *d = fresh_directory();
    stop_at = -1;
    ck_assert_int_eq(with_other_validation(d, 50, false, falls, NULL), TG_OK);
    fflush(NULL);
    const pid_t child = fork();
    if (!child) {
        stop_at = 65; /* best.h5 is of step 60 and of the other data, last.h5 of step 50 */
        _exit(with_other_validation(d, 100, true, others, NULL) ? 1 : 0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_double_eq(best_in(d), 940);
    ck_assert_int_eq(with_other_validation(d, 80, true, even_others, NULL), TG_ERR_INTERRUPTED);
    ck_assert_int_eq(with_other_validation(d, 80, false, even_others, NULL), TG_OK);
    ck_assert_double_eq(best_in(d), 1920);
    remove_directory(d);
}
END_TEST

TG_TEST_MAIN("train/changes", rate_goes_on_with_more_or_fewer_data_and_with_more_epochs,
             resume_after_other_data_is_exact_too,
             cosine_that_has_ended_stays_at_its_end_unless_another_rate_is_given,
             epoch_that_has_become_too_short_is_ended, better_best_is_never_replaced_by_a_worse_one,
             closing_line_tells_what_best_holds, other_validation_data_begin_best_and_patience_anew,
             best_on_other_validation_data_is_known_after_a_kill)
