/* tests/test_train_signals.c -- signals save and return; a second SIGINT or SIGTERM kills. */
#include "train_fixture.h"

static const net_config plain = { .seed = 5, .batches = 7, .dropout = (tg_real)0.2, .carries = true };

static tg_training training_of(net *n, const char *directory)
{
    tg_training g = net_training(n, directory);
    static tg_schedule schedule;
    schedule = (tg_schedule){ .kind = TG_COSINE, .warmup = 3 };
    g.schedule = &schedule;
    g.steps = 40, g.valid_every = 12, g.checkpoint_every = 15, g.catch_signals = true;
    return g;
}

static void straight_run(char directory[256])
{
    snprintf(directory, 256, "%s", fresh_directory());
    net *n = net_new(&plain);
    tg_training g = training_of(n, directory);
    ck_assert_train(&g, TG_OK, NULL);
    net_free(n);
}

static void resume_and_compare(const char *d, const char *straight)
{
    net *n = net_new(&plain);
    tg_training g = training_of(n, d);
    g.resume = true;
    ck_assert_train(&g, TG_OK, NULL);
    ck_assert_same_checkpoint(in(d, "last.h5").s, in(straight, "last.h5").s);
    ck_assert_same_checkpoint(in(d, "best.h5").s, in(straight, "best.h5").s);
    char *rows = numbers_of(d), *straight_rows = numbers_of(straight);
    ck_assert_str_eq(rows, straight_rows);
    free(rows);
    free(straight_rows);
    net_free(n);
}

START_TEST(signal_saves_after_the_step_and_says_which)
{
    signal(SIGHUP, SIG_DFL); /* nohup ignores it */
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGXCPU };
    static const char *const names[] = { "SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGXCPU" };
    char straight[256];
    straight_run(straight);
    for (int i = 0; i < 5; i++) {
        const char *d = fresh_directory();
        net_config c = plain;
        c.signal_at = 20, c.signal_number = numbers[i];
        net *n = net_new(&c);
        tg_training g = training_of(n, d);
        tg_training_result result;
        ck_assert_train(&g, TG_ERR_INTERRUPTED, &result);
        ck_assert_int_eq(result.reason, TG_STOP_SIGNAL);
        ck_assert_int_eq(result.signal, numbers[i]);
        ck_assert_int_eq(result.progress.step, 21); /* the step is finished */
        const char *message = tg_context_message(n->cx);
        ck_assert_msg(strstr(message, names[i]) && strstr(message, "after step 21") && strstr(message, d),
                      "%s", message);
        tg_progress saved;
        ck_assert_int_eq(
            tg_checkpoint_load(in(d, "last.h5").s, &(tg_checkpoint){ .params = n->ps, .progress = &saved }),
            TG_OK);
        ck_assert_int_eq(saved.step, 21);
        net_free(n);
        resume_and_compare(d, straight);
        remove_directory(d);
    }
    remove_directory(straight);
}
END_TEST

START_TEST(validation_that_is_due_is_left_to_the_one_who_goes_on)
{
    char straight[256];
    const char *d;
    straight_run(straight);
    d = fresh_directory();
    net_config c = plain;
    c.signal_at = 23; /* a validation is due after it */
    net *n = net_new(&c);
    tg_training g = training_of(n, d);
    tg_training_result result;
    ck_assert_train(&g, TG_ERR_INTERRUPTED, &result);
    ck_assert_int_eq(result.progress.step, 24);
    ck_assert_int_eq(n->validations, 1); /* that of step 12 */
    net_free(n);
    resume_and_compare(d, straight);
    remove_directory(d);
    remove_directory(straight);
}
END_TEST

START_TEST(signal_in_the_last_step_leaves_the_last_validation)
{
    char straight[256];
    const char *d;
    straight_run(straight);
    d = fresh_directory();
    net_config c = plain;
    c.signal_at = 39;
    net *n = net_new(&c);
    tg_training g = training_of(n, d);
    ck_assert_train(&g, TG_ERR_INTERRUPTED, NULL);
    net_free(n);
    resume_and_compare(d, straight);
    remove_directory(d);
    remove_directory(straight);
}
END_TEST

START_TEST(signal_during_a_validation_lets_it_end)
{
    char straight[256];
    const char *d;
    straight_run(straight);
    d = fresh_directory();
    net_config c = plain;
    c.signal_at = 24, c.signal_in_validation = true;
    net *n = net_new(&c);
    tg_training g = training_of(n, d);
    tg_training_result result;
    ck_assert_train(&g, TG_ERR_INTERRUPTED, &result);
    ck_assert_int_eq(result.progress.step, 24);
    ck_assert_int_eq(n->validations, 2);
    net_free(n);
    resume_and_compare(d, straight);
    remove_directory(d);
    remove_directory(straight);
}
END_TEST

static int first, second;

static void raise_both(int64_t step)
{
    if (step != 20) return;
    raise(first);
    raise(second);
}

START_TEST(second_signal_kills_at_once)
{
    signal(SIGHUP, SIG_DFL); /* nohup ignores it */
    static const int pairs[][2] = { { SIGINT, SIGINT },
                                    { SIGTERM, SIGTERM },
                                    { SIGINT, SIGTERM },
                                    { SIGTERM, SIGINT },
                                    { SIGHUP, SIGTERM } };
    for (int i = 0; i < 5; i++) {
        const char *d = fresh_directory();
        fflush(NULL);
        const pid_t child = fork();
        if (!child) {
            net_config c = plain;
            first = pairs[i][0], second = pairs[i][1], c.at_step = raise_both;
            net *n = net_new(&c);
            tg_training g = training_of(n, d);
            _exit(tg_train(&g, NULL) ? 1 : 0);
        }
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == pairs[i][1], "status %x", status);
        remove_directory(d);
    }
}
END_TEST

/* The kernel and the shell both send SIGHUP when a terminal is closed; SIGXCPU comes every second. */
START_TEST(second_signal_that_nobody_insists_with_does_not_kill)
{
    signal(SIGHUP, SIG_DFL); /* nohup ignores it */
    static const int pairs[][2] = {
        { SIGHUP, SIGHUP }, { SIGXCPU, SIGXCPU }, { SIGUSR1, SIGUSR1 }, { SIGTERM, SIGHUP }
    };
    for (int i = 0; i < 4; i++) {
        net_config c = plain;
        first = pairs[i][0], second = pairs[i][1], c.at_step = raise_both;
        net *n = net_new(&c);
        tg_training g = training_of(n, NULL);
        tg_training_result result;
        ck_assert_train(&g, TG_ERR_INTERRUPTED, &result);
        ck_assert_int_eq(result.signal, first);
        net_free(n);
    }
}
END_TEST

START_TEST(signals_are_left_alone_unless_asked)
{
    fflush(NULL);
    const pid_t child = fork();
    if (!child) {
        net_config c = plain;
        c.signal_at = 20;
        net *n = net_new(&c);
        tg_training g = training_of(n, NULL);
        g.catch_signals = false;
        signal(SIGTERM, SIG_DFL); /* Check has its own */
        _exit(tg_train(&g, NULL) ? 1 : 0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}
END_TEST

static volatile sig_atomic_t hosts;
static void host_handler(int number) { hosts = number; }

START_TEST(handlers_of_the_host_are_put_back)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGXCPU };
    struct sigaction host = { .sa_handler = host_handler }, now;
    for (int signalled = 0; signalled < 2; signalled++) {
        net_config c = plain;
        if (signalled) c.signal_at = 20;
        for (int i = 0; i < 5; i++) ck_assert_int_eq(sigaction(numbers[i], &host, NULL), 0);
        net *n = net_new(&c);
        tg_training g = training_of(n, NULL);
        ck_assert_train(&g, signalled ? TG_ERR_INTERRUPTED : TG_OK, NULL);
        for (int i = 0; i < 5; i++) {
            ck_assert_int_eq(sigaction(numbers[i], NULL, &now), 0);
            ck_assert(now.sa_handler == host_handler);
        }
        ck_assert_int_eq(hosts, 0);
        net_free(n);
    }
}
END_TEST

START_TEST(ignored_signal_stays_ignored)
{
    static const int numbers[] = { SIGINT, SIGHUP }; /* of a script's background job; of nohup */
    for (int i = 0; i < 2; i++) {
        net_config c = plain;
        c.signal_at = 20, c.signal_number = numbers[i];
        signal(numbers[i], SIG_IGN);
        net *n = net_new(&c);
        tg_training g = training_of(n, NULL);
        ck_assert_train(&g, TG_OK, NULL);
        net_free(n);
    }
}
END_TEST

static tg_status nested_status;

static tg_tensor *nested_loss(void *user, tg_tape *t, tg_at at, double *units)
{
    net *n = user;
    if (at.step == 3) {
        net *inner = net_new(&plain);
        tg_training g = training_of(inner, NULL);
        nested_status = tg_train(&g, NULL);
        net_free(inner);
    }
    return net_loss(n, t, at, units);
}

START_TEST(only_one_training_at_a_time_catches_signals)
{
    net *n = net_new(&plain);
    tg_training g = training_of(n, NULL);
    g.loss = nested_loss;
    ck_assert_train(&g, TG_OK, NULL);
    ck_assert_int_eq(nested_status, TG_ERR_STATE);
    ck_assert_train(&g, TG_OK, NULL); /* again, and by itself */
    net_free(n);
}
END_TEST

/* TIDEGATE_KILLS: how many, for a long night. */
START_TEST(signal_at_any_moment_leaves_a_whole_checkpoint)
{
    const char *wish = getenv("TIDEGATE_KILLS");
    const int rounds = wish ? atoi(wish) : 30;
    unsigned random = 54321;
    char straight[256], d[256];
    int interrupted = 0;
    straight_run(straight);
    snprintf(d, sizeof d, "%s", fresh_directory());
    for (int i = 0; i < rounds; i++) {
        const bool resume = exists(d, "last.h5");
        int ready[2];
        ck_assert_int_eq(pipe(ready), 0);
        fflush(NULL);
        const pid_t child = fork();
        if (!child) { /* until the training catches it, a signal is to be held back, not to kill */
            sigset_t both;
            sigemptyset(&both), sigaddset(&both, SIGINT), sigaddset(&both, SIGTERM);
            sigprocmask(SIG_BLOCK, &both, NULL);
            net *n = net_new(&plain);
            tg_training g = training_of(n, d);
            g.resume = resume;
            struct sigaction ignore = { .sa_handler = host_handler };
            sigaction(SIGINT, &ignore, NULL), sigaction(SIGTERM, &ignore, NULL);
            if (write(ready[1], "", 1) != 1) _exit(4);
            sigprocmask(SIG_UNBLOCK, &both, NULL);
            const tg_status s = tg_train(&g, NULL);
            _exit(s == TG_OK ? 0 : s == TG_ERR_INTERRUPTED ? 1 : 2);
        }
        char c;
        ck_assert_int_eq(read(ready[0], &c, 1), 1);
        close(ready[0]), close(ready[1]);
        random = random * 1664525u + 1013904223u;
        usleep((random >> 8) % 30000);
        kill(child, i % 2 ? SIGINT : SIGTERM);
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(status == 0 || status == 256, "status %x", status);
        tg_context *cx = tg_context_new(NULL);
        ck_assert_msg(tg_checkpoint_verify(cx, in(d, "last.h5").s) == TG_OK, "%s", tg_context_message(cx));
        tg_context_free(cx);
        interrupted += status != 0;
        if (status) continue;
        ck_assert_same_checkpoint(in(d, "last.h5").s, in(straight, "last.h5").s);
        remove_directory(d);
        snprintf(d, sizeof d, "%s", fresh_directory());
    }
    ck_assert_int_gt(interrupted, rounds / 8);
    remove_directory(d);
    remove_directory(straight);
}
END_TEST

TG_TEST_MAIN("train/signals", signal_saves_after_the_step_and_says_which,
             validation_that_is_due_is_left_to_the_one_who_goes_on,
             signal_in_the_last_step_leaves_the_last_validation, signal_during_a_validation_lets_it_end,
             second_signal_kills_at_once, second_signal_that_nobody_insists_with_does_not_kill,
             signals_are_left_alone_unless_asked, handlers_of_the_host_are_put_back,
             ignored_signal_stays_ignored, only_one_training_at_a_time_catches_signals,
             signal_at_any_moment_leaves_a_whole_checkpoint)
