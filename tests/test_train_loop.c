/* tests/test_train_loop.c -- what the driver does at a step, and when it stops. */
#include "train_fixture.h"

static const net_config plain = { .seed = 5, .batches = 7 };

/* ---- the log ---- */

typedef struct row {
    char field[8][40];
    double value[8];
} row;
enum { STEP, EPOCH, TRAIN_LOSS, VALID_LOSS, LR, GRAD_NORM, SPEED, SECONDS };

static int read_rows(const char *directory, row *rows, int most)
{
    char *text = text_of(directory, "metrics.csv"), *line = text;
    int n = -1;
    for (char *end; (end = strchr(line, '\n')); line = end + 1, n++) {
        *end = 0;
        if (n < 0)
            ck_assert_str_eq(line, "step,epoch,train_loss,valid_loss,lr,grad_norm,units_per_second,seconds");
        if (n < 0 || n >= most) continue;
        char *field = line;
        for (int i = 0; i < 8; i++) {
            ck_assert_ptr_nonnull(field);
            char *comma = strchr(field, ',');
            if (comma) *comma = 0;
            snprintf(rows[n].field[i], sizeof rows[n].field[i], "%s", field);
            rows[n].value[i] = *field ? atof(field) : (double)NAN;
            field = comma ? comma + 1 : NULL;
        }
        ck_assert_ptr_null(field);
    }
    ck_assert_int_eq(*line, 0); /* no half row */
    free(text);
    return n;
}

START_TEST(metrics_have_a_row_every_so_many_steps_and_at_every_validation)
{
    const char *d = fresh_directory();
    net *n = net_new(&plain);
    tg_training g = net_training(n, d);
    g.steps = 50, g.valid_every = 25;
    ck_assert_train(&g, TG_OK, NULL);
    row rows[16];
    static const int steps[] = { 10, 20, 25, 30, 40, 50 };
    ck_assert_int_eq(read_rows(d, rows, 16), 6);
    for (int i = 0, from = 0; i < 6; from = steps[i++]) {
        double loss = 0, units = 0;
        for (int k = from; k < steps[i]; k++) loss += n->loss[k] * n->units[k], units += n->units[k];
        ck_assert_int_eq((int)rows[i].value[STEP], steps[i]);
        ck_assert_int_eq((int)rows[i].value[EPOCH], (steps[i] + 6) / 7);
        ck_assert_double_eq_tol(rows[i].value[TRAIN_LOSS], loss / units, 1e-8 * fabs(loss / units));
        ck_assert_int_eq(isnan(rows[i].value[VALID_LOSS]), steps[i] % 25 != 0);
        ck_assert_double_eq_tol(rows[i].value[LR], 0.01, 1e-9);
        ck_assert_double_gt(rows[i].value[GRAD_NORM], 0);
        ck_assert_double_gt(rows[i].value[SPEED], 0);
        ck_assert_double_gt(rows[i].value[SECONDS], 0);
    }
    net_free(n);
    remove_directory(d);
}
END_TEST

START_TEST(norm_in_the_log_is_the_one_before_clipping)
{
    const tg_real clip_norm[] = { 0, (tg_real)1e-3, TG_ZERO };
    double norm[3];
    for (int k = 0; k < 3; k++) {
        const char *d = fresh_directory();
        net *n = net_new(&plain);
        tg_training g = net_training(n, d);
        g.steps = 3, g.log_every = 1, g.clip_norm = clip_norm[k];
        ck_assert_train(&g, TG_OK, NULL);
        row rows[4];
        ck_assert_int_eq(read_rows(d, rows, 4), 3);
        norm[k] = rows[0].value[GRAD_NORM];
        net_free(n);
        remove_directory(d);
    }
    ck_assert_double_gt(norm[0], 1e-3);
    ck_assert_double_eq_tol(norm[0], norm[1], 1e-7 * norm[0]);
    ck_assert_double_eq(norm[0], norm[2]);
}
END_TEST

START_TEST(run_without_epochs_leaves_their_column_empty)
{
    const char *d = fresh_directory();
    net *n = net_new(&(net_config){ .seed = 5 });
    tg_training g = net_training(n, d);
    g.steps = 10;
    tg_training_result result;
    ck_assert_train(&g, TG_OK, &result);
    row rows[4];
    ck_assert_int_eq(read_rows(d, rows, 4), 1);
    ck_assert_str_eq(rows[0].field[EPOCH], "");
    ck_assert_int_eq(result.progress.epoch, 0);
    ck_assert_int_eq(result.progress.position, 10);
    ck_assert_int_eq(result.reason, TG_STOP_DONE);
    net_free(n);
    remove_directory(d);
}
END_TEST

/* ---- rates ---- */

START_TEST(rate_follows_the_schedule_and_is_put_back)
{
    const char *d = fresh_directory();
    net *n = net_new(&plain);
    tg_schedule schedule = { .kind = TG_STEP, .warmup = 3 }; /* lr and period: the driver's */
    tg_training g = net_training(n, d);
    g.epochs = 3, g.log_every = 1, g.schedule = &schedule;
    ck_assert_train(&g, TG_OK, NULL);
    const tg_schedule whole = { .kind = TG_STEP, .warmup = 3, .lr = (tg_real)0.01, .period = 7 };
    row rows[32];
    ck_assert_int_eq(read_rows(d, rows, 32), 21);
    for (int i = 0; i < 21; i++) {
        const tg_real lr =
            tg_schedule_rate(&whole, i); /* in the log as the shortest text that reads back to it */
        ck_assert_double_eq((double)(tg_real)rows[i].value[LR], (double)lr);
    }
    ck_assert_double_lt(rows[20].value[LR], 0.002);
    ck_assert_double_eq_tol((double)tg_optimizer_rate(n->optimizer), 0.01, 1e-9);
    net_free(n);
    remove_directory(d);
}
END_TEST

START_TEST(plateau_lowers_the_rate)
{
    static const double valid[] = { 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2 };
    net *n = net_new(&(net_config){ .seed = 5, .batches = 2, .valid = valid });
    tg_schedule schedule = {
        .kind = TG_PLATEAU, .patience = 2, .gamma = (tg_real)0.5, .drops = 7, .seen = true
    };
    tg_training g = net_training(n, NULL);
    g.epochs = 10, g.schedule = &schedule;
    ck_assert_train(&g, TG_OK, NULL);
    ck_assert_int_ge(schedule.drops, 1);
    ck_assert_int_lt(schedule.drops, 7); /* a new run forgets what the struct remembered */
    net_free(n);
}
END_TEST

START_TEST(schedule_without_a_period_needs_epochs)
{
    net *n = net_new(&(net_config){ .seed = 5 });
    tg_schedule schedule = { .kind = TG_EXPONENTIAL };
    tg_training g = net_training(n, NULL);
    g.steps = 10, g.schedule = &schedule;
    ck_assert_train(&g, TG_ERR_ARGUMENT, NULL);
    ck_assert_ptr_nonnull(strstr(tg_context_message(n->cx), "period"));
    ck_assert_int_eq(n->losses, 0);
    net_free(n);
}
END_TEST

/* ---- what cannot be ---- */

static void no_optimizer(tg_training *g) { g->optimizer = NULL; }
static void no_loss(tg_training *g) { g->loss = NULL; }
static void negative_steps(tg_training *g) { g->steps = -1; }
static void no_end(tg_training *g) { g->steps = 0; }
static void epochs_without_batches(tg_training *g) { g->epochs = 2, g->batches = NULL; }
static void negative_seconds(tg_training *g) { g->seconds = -1; }
static void negative_clip_norm(tg_training *g) { g->clip_norm = -1; }
static void clip_norm_nan(tg_training *g) { g->clip_norm = (tg_real)NAN; }
static void negative_log_every(tg_training *g) { g->log_every = -1; }
static void negative_valid_every(tg_training *g) { g->valid_every = -1; }
static void negative_checkpoint_every(tg_training *g) { g->checkpoint_every = -1; }
static void negative_patience(tg_training *g) { g->patience = -1; }
static void patience_without_validate(tg_training *g) { g->patience = 2, g->validate = NULL; }
static void valid_every_without_validate(tg_training *g) { g->valid_every = 2, g->validate = NULL; }
static void plateau_without_validate(tg_training *g)
{
    static tg_schedule plateau = { .kind = TG_PLATEAU };
    g->schedule = &plateau, g->validate = NULL;
}
static tg_schedule spoilt;
static void schedule_of(tg_training *g, tg_schedule schedule)
{
    spoilt = schedule;
    g->schedule = &spoilt;
}
static void schedule_lr_nan(tg_training *g) { schedule_of(g, (tg_schedule){ .lr = (tg_real)NAN }); }
static void schedule_gamma_inf(tg_training *g)
{
    schedule_of(g, (tg_schedule){ .gamma = (tg_real)INFINITY });
}
static void schedule_min_negative(tg_training *g) { schedule_of(g, (tg_schedule){ .min = -1 }); }
static void schedule_warmup_negative(tg_training *g) { schedule_of(g, (tg_schedule){ .warmup = -5 }); }
static void schedule_unknown(tg_training *g)
{
    schedule_of(g, (tg_schedule){ .kind = (tg_schedule_kind)77 });
}
static void states_missing(tg_training *g) { g->n_states = 1, g->states = NULL; }
static void resume_and_force(tg_training *g) { g->resume = g->force = true; }
static void resume_from_nowhere(tg_training *g) { g->resume = true; }
static void other_validation_of_a_new_run(tg_training *g) { g->other_validation = true; }
static void empty_directory(tg_training *g) { g->directory = ""; }

START_TEST(missing_or_contradictory_members_get_a_sentence)
{
    static const struct {
        void (*spoil)(tg_training *g);
        const char *word;
    } cases[] = {
        { no_optimizer, "optimizer" },
        { no_loss, "loss" },
        { negative_steps, "steps" },
        { no_end, "steps and epochs" },
        { epochs_without_batches, "batches" },
        { negative_seconds, "seconds" },
        { negative_clip_norm, "clip_norm" },
        { clip_norm_nan, "clip_norm" },
        { negative_log_every, "log_every" },
        { negative_valid_every, "valid_every" },
        { negative_checkpoint_every, "checkpoint_every" },
        { negative_patience, "patience" },
        { patience_without_validate, "patience" },
        { valid_every_without_validate, "valid_every" },
        { plateau_without_validate, "PLATEAU" },
        { schedule_lr_nan, "lr is nan" },
        { schedule_gamma_inf, "gamma is inf" },
        { schedule_min_negative, "min is -1" },
        { schedule_warmup_negative, "warmup is -5" },
        { schedule_unknown, "kind 77" },
        { states_missing, "states" },
        { resume_and_force, "force" },
        { resume_from_nowhere, "directory" },
        { other_validation_of_a_new_run, "other_validation" },
        { empty_directory, "directory" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        net *n = net_new(&plain);
        tg_training g = net_training(n, NULL);
        g.steps = 10;
        cases[i].spoil(&g);
        tg_training_result result = { .reason = TG_STOP_DONE };
        ck_assert_train(&g, TG_ERR_ARGUMENT, &result);
        ck_assert_msg(strstr(tg_context_message(n->cx), cases[i].word) != NULL, "case %zu: %s", i,
                      tg_context_message(n->cx));
        ck_assert_int_eq(result.reason, TG_STOP_ERROR);
        ck_assert_int_eq(n->losses, 0);
        ck_assert(tg_context_ok(n->cx));
        net_free(n);
    }
    ck_assert_int_eq(tg_train(NULL, NULL), TG_ERR_ARGUMENT);
}
END_TEST

static int64_t no_batches(void *user, int64_t epoch)
{
    (void)user;
    return epoch == 2 ? 0 : 3;
}

START_TEST(epoch_without_batches_is_an_error)
{
    net *n = net_new(&plain);
    tg_training g = net_training(n, NULL);
    g.epochs = 5, g.batches = no_batches;
    tg_training_result result;
    ck_assert_train(&g, TG_ERR_DATA, &result);
    ck_assert_int_eq(result.progress.step, 6);
    net_free(n);
}
END_TEST

/* ---- numbers that are not finite ---- */

START_TEST(single_bad_step_is_skipped_and_counted)
{
    char *said = NULL;
    size_t bytes = 0;
    FILE *talk = open_memstream(&said, &bytes);
    net_config c = plain;
    c.bad_from = 5, c.bad_until = 6;
    net *n = net_new(&c);
    tg_training g = net_training(n, NULL);
    g.steps = 20, g.talk = talk;
    tg_training_result result;
    ck_assert_train(&g, TG_OK, &result);
    fclose(talk);
    ck_assert_int_eq(result.progress.step, 20);
    ck_assert_int_eq(result.progress.skipped, 1);
    ck_assert_int_eq(result.progress.bad_streak, 0);
    ck_assert_int_eq(n->accepted, 19);
    ck_assert_int_eq(tg_optimizer_steps(n->optimizer), 19);
    ck_assert_int_eq(tg_context_step(n->cx), 20);
    ck_assert_ptr_nonnull(strstr(said, "step 5 is skipped"));
    ck_assert_ptr_null(strstr(n->log, "step 5 is skipped")); /* told once */
    ck_assert(tg_context_ok(n->cx));
    free(said);
    net_free(n);
}
END_TEST

START_TEST(four_bad_steps_do_not_stop)
{
    net_config c = plain;
    c.bad_from = 5, c.bad_until = 9;
    net *n = net_new(&c);
    tg_training g = net_training(n, NULL);
    g.steps = 20;
    tg_training_result result;
    ck_assert_train(&g, TG_OK, &result);
    ck_assert_int_eq(result.progress.skipped, 4);
    net_free(n);
}
END_TEST

START_TEST(five_bad_steps_stop_and_leave_the_last_checkpoint)
{
    char straight[256];
    snprintf(straight, sizeof straight, "%s", fresh_directory());
    const char *d = fresh_directory();
    net *n = net_new(&plain);
    tg_training g = net_training(n, straight);
    g.validate = NULL;
    g.steps = 20, g.checkpoint_every = 10;
    ck_assert_train(&g, TG_OK, NULL);
    net_free(n);

    net_config c = plain;
    c.bad_from = 23, c.bad_until = 100;
    n = net_new(&c);
    g = net_training(n, d);
    g.validate = NULL;
    g.steps = 50, g.checkpoint_every = 10;
    tg_training_result result;
    ck_assert_train(&g, TG_ERR_NUMBER, &result);
    ck_assert_int_eq(result.reason, TG_STOP_NOT_FINITE);
    ck_assert_int_eq(result.progress.step, 28);
    ck_assert_ptr_nonnull(strstr(tg_context_message(n->cx), "23 to 27"));
    ck_assert(tg_context_ok(n->cx));
    ck_assert_same_checkpoint(in(d, "last.h5").s, in(straight, "last.h5").s);
    net_free(n);
    remove_directory(d);
    remove_directory(straight);
}
END_TEST

START_TEST(error_in_the_forward_pass_stops_at_once_and_harms_nothing)
{
    net_config c = plain;
    net *n = net_new(&c), *same = net_new(&c);
    n->config.shape_error_at = 4;
    tg_training g = net_training(n, NULL), h = net_training(same, NULL);
    g.steps = 20, h.steps = 4, h.validate = NULL;
    tg_training_result result;
    ck_assert_train(&g, TG_ERR_SHAPE, &result);
    ck_assert_train(&h, TG_OK, NULL);
    ck_assert_int_eq(result.reason, TG_STOP_ERROR);
    ck_assert_int_eq(result.progress.step, 4);
    ck_assert_int_eq(tg_context_status(n->cx), TG_ERR_SHAPE);
    tg_context_clear(n->cx);
    tg_real x[NET_H], y[NET_H];
    ck_assert_int_eq(tg_params_get(n->ps, "out/W", x, NET_H), TG_OK);
    ck_assert_int_eq(tg_params_get(same->ps, "out/W", y, NET_H), TG_OK);
    ck_assert_mem_eq(x, y, sizeof x);
    g.steps = 30, n->config.shape_error_at = 0; /* and the same net trains on */
    ck_assert_train(&g, TG_OK, NULL);
    net_free(n);
    net_free(same);
}
END_TEST

/* ---- validation ---- */

static void parameters_of(net *n, tg_real x[64])
{
    static const char *const names[] = { "rnn/layer0/forward/W_xz", "rnn/layer0/forward/W_hg",
                                         "rnn/layer0/forward/b_r", "out/W" };
    static const int sizes[] = { NET_I * NET_H, NET_H * NET_H, NET_H, NET_H };
    for (int i = 0, at = 0; i < 4; at += sizes[i++])
        ck_assert_int_eq(tg_params_get(n->ps, names[i], x + at, (size_t)sizes[i]), TG_OK);
}

START_TEST(validation_frequency_never_changes_the_parameters)
{
    static const int every[] = { 0, 1, 3, 11 };
    tg_real without[64] = { 0 }, with[64] = { 0 };
    for (int i = -1; i < 4; i++) {
        net *n = net_new(&(net_config){ .seed = 9, .batches = 7, .dropout = (tg_real)0.3, .carries = true });
        tg_training g = net_training(n, NULL);
        g.steps = 40;
        if (i < 0) g.validate = NULL;
        if (i >= 0) g.valid_every = every[i];
        ck_assert_train(&g, TG_OK, NULL);
        parameters_of(n, i < 0 ? without : with);
        if (i >= 0) ck_assert_mem_eq(with, without, sizeof with);
        if (i >= 0) ck_assert_int_gt(n->validations, 0);
        net_free(n);
    }
}
END_TEST

START_TEST(gradient_that_is_not_finite_is_skipped_and_forgotten)
{
    tg_real x[2][64] = { { 0 } };
    for (int check = 0; check < 2; check++) { /* with the check, backward stops half-way */
        net *n =
            net_new(&(net_config){ .seed = 9, .batches = 7, .bad_gradient_at = 5, .check_finite = check });
        tg_training g = net_training(n, NULL);
        g.steps = 20;
        tg_training_result result;
        ck_assert_train(&g, TG_OK, &result);
        ck_assert_int_eq(result.progress.skipped, 1);
        ck_assert_msg(strstr(n->log, check ? "backward is not finite" : "gradient of 'out/") != NULL, "%s",
                      n->log);
        parameters_of(n, x[check]);
        net_free(n);
    }
    ck_assert_mem_eq(x[0], x[1], sizeof x[0]);
}
END_TEST

START_TEST(random_streams_hang_on_the_step_of_the_run_alone)
{
    tg_real x[2][64] = { { 0 } };
    for (int later = 0; later < 2; later++) {
        net *n = net_new(&(net_config){ .seed = 9, .batches = 7, .dropout = (tg_real)0.3 });
        tg_training g = net_training(n, NULL);
        g.steps = 20;
        if (later) tg_context_set_step(n->cx, 77); /* what the context did before */
        ck_assert_train(&g, TG_OK, NULL);
        parameters_of(n, x[later]);
        net_free(n);
    }
    ck_assert_mem_eq(x[0], x[1], sizeof x[0]);
}
END_TEST

START_TEST(last_step_is_validated_once)
{
    static const struct {
        int steps, valid_every, validations;
    } cases[] = { { 20, 10, 2 }, { 25, 10, 3 }, { 5, 10, 1 }, { 14, 0, 2 }, { 15, 0, 3 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        net *n = net_new(&plain);
        tg_training g = net_training(n, NULL);
        g.steps = cases[i].steps, g.valid_every = cases[i].valid_every;
        ck_assert_train(&g, TG_OK, NULL);
        ck_assert_int_eq(n->validations, cases[i].validations);
        net_free(n);
    }
}
END_TEST

START_TEST(last_step_is_in_the_log)
{
    static const int steps[] = { 3, 10, 25 };
    for (int i = 0; i < 3; i++) {
        const char *d = fresh_directory();
        net *n = net_new(&plain);
        tg_training g = net_training(n, d);
        g.steps = steps[i], g.validate = NULL;
        ck_assert_train(&g, TG_OK, NULL);
        row rows[4];
        const int r = read_rows(d, rows, 4);
        ck_assert_int_eq(r, (steps[i] + 9) / 10);
        ck_assert_int_eq((int)rows[r - 1].value[STEP], steps[i]);
        net_free(n);
        remove_directory(d);
    }
}
END_TEST

START_TEST(patience_that_leaves_plateau_nothing_to_do_is_told)
{
    for (int patience = 2; patience < 4; patience++) {
        net *n = net_new(&plain);
        tg_schedule schedule = { .kind = TG_PLATEAU };
        tg_training g = net_training(n, NULL);
        g.epochs = 1, g.schedule = &schedule, g.patience = patience;
        ck_assert_train(&g, TG_OK, NULL);
        ck_assert_int_eq(strstr(n->log, "plateau will not lower the rate") != NULL, patience < 3);
        net_free(n);
    }
}
END_TEST

START_TEST(patience_ends_the_run_and_best_is_kept)
{
    static const double valid[] = { (double)NAN, 3, 2, 2.5, (double)NAN, 2.1, 1 };
    const char *d = fresh_directory();
    net *n = net_new(&(net_config){ .seed = 5, .batches = 7, .valid = valid });
    tg_training g = net_training(n, d);
    g.epochs = 100, g.patience = 3;
    tg_training_result result;
    ck_assert_train(&g, TG_OK, &result);
    ck_assert_int_eq(result.reason, TG_STOP_PATIENCE);
    ck_assert_int_eq(result.progress.epoch, 6);
    ck_assert_int_eq(result.progress.best_step, 21);
    ck_assert_double_eq(result.progress.best, 2);
    tg_progress best;
    net *reader = net_new(&plain);
    ck_assert_int_eq(
        tg_checkpoint_load(in(d, "best.h5").s, &(tg_checkpoint){ .params = reader->ps, .progress = &best }),
        TG_OK);
    ck_assert_int_eq(best.step, 21);
    ck_assert_double_eq(best.best, 2);
    net_free(reader);
    net_free(n);
    remove_directory(d);
}
END_TEST

static tg_status failing_validate(void *user, tg_tape *t, double *loss)
{
    (void)user, (void)loss;
    return tg_context_note(tg_tape_context(t), TG_ERR_DATA, "the held-out data went away");
}

START_TEST(error_of_validate_stops_with_its_sentence)
{
    net *n = net_new(&plain);
    tg_training g = net_training(n, NULL);
    g.epochs = 3, g.validate = failing_validate;
    tg_training_result result;
    ck_assert_train(&g, TG_ERR_DATA, &result);
    ck_assert_str_eq(tg_context_message(n->cx), "the held-out data went away");
    ck_assert_int_eq(result.reason, TG_STOP_ERROR);
    net_free(n);
}
END_TEST

/* ---- limits ---- */

static void slow(int64_t step)
{
    (void)step;
    usleep(2000);
}

START_TEST(time_budget_stops_with_a_checkpoint)
{
    const char *d = fresh_directory();
    net_config c = { .seed = 5, .at_step = slow };
    net *n = net_new(&c);
    tg_training g = net_training(n, d);
    g.steps = 1000000, g.seconds = 0.05;
    tg_training_result result;
    ck_assert_train(&g, TG_OK, &result);
    ck_assert_int_eq(result.reason, TG_STOP_TIME);
    ck_assert_double_ge(result.seconds, 0.05);
    ck_assert_int_gt(result.progress.step, 0);
    ck_assert_int_eq(n->validations, 0); /* it is not the end of the run */
    tg_progress saved;
    ck_assert_int_eq(
        tg_checkpoint_load(in(d, "last.h5").s, &(tg_checkpoint){ .params = n->ps, .progress = &saved }),
        TG_OK);
    ck_assert_int_eq(saved.step, result.progress.step);
    net_free(n);
    remove_directory(d);
}
END_TEST

START_TEST(without_a_directory_nothing_is_written)
{
    const char *d = fresh_directory();
    ck_assert_int_eq(chdir(d), 0);
    net *n = net_new(&plain);
    tg_training g = net_training(n, NULL);
    g.epochs = 2;
    ck_assert_train(&g, TG_OK, NULL);
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(rmdir(d), 0); /* it is empty */
    net_free(n);
}
END_TEST

TG_TEST_MAIN("train/loop", metrics_have_a_row_every_so_many_steps_and_at_every_validation,
             norm_in_the_log_is_the_one_before_clipping, run_without_epochs_leaves_their_column_empty,
             rate_follows_the_schedule_and_is_put_back, plateau_lowers_the_rate,
             schedule_without_a_period_needs_epochs, missing_or_contradictory_members_get_a_sentence,
             epoch_without_batches_is_an_error, single_bad_step_is_skipped_and_counted,
             four_bad_steps_do_not_stop, five_bad_steps_stop_and_leave_the_last_checkpoint,
             error_in_the_forward_pass_stops_at_once_and_harms_nothing,
             validation_frequency_never_changes_the_parameters,
             gradient_that_is_not_finite_is_skipped_and_forgotten,
             random_streams_hang_on_the_step_of_the_run_alone, last_step_is_validated_once,
             last_step_is_in_the_log, patience_that_leaves_plateau_nothing_to_do_is_told,
             patience_ends_the_run_and_best_is_kept, error_of_validate_stops_with_its_sentence,
             time_budget_stops_with_a_checkpoint, without_a_directory_nothing_is_written)
