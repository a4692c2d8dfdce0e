/* tests/test_train_directory.c -- one directory a run, one trainer a directory. */
#include <locale.h>

#include "train_fixture.h"

static const net_config plain = { .seed = 5, .batches = 7 };

static tg_status train(const char *directory, bool force, char *message, size_t bytes)
{
    net *n = net_new(&plain);
    tg_training g = net_training(n, directory);
    g.epochs = 3, g.force = force;
    const tg_status s = tg_train(&g, NULL);
    if (message) snprintf(message, bytes, "%s", tg_context_message(n->cx));
    net_free(n);
    return s;
}

static void put_file(const char *directory, const char *file)
{
    FILE *f = fopen(in(directory, file).s, "w");
    ck_assert_ptr_nonnull(f);
    fputs("old\n", f);
    fclose(f);
}

START_TEST(directory_holds_the_run)
{
    const char *d = fresh_directory();
    ck_assert_int_eq(train(d, false, NULL, 0), TG_OK);
    static const char *const files[] = { "last.h5", "last.h5.1", "best.h5", "metrics.csv", "lock" };
    for (int i = 0; i < 5; i++) ck_assert_msg(exists(d, files[i]), "%s is missing", files[i]);
    for (int i = 0; i < 5; i++) unlink(in(d, files[i]).s);
    ck_assert_int_eq(rmdir(d), 0); /* nothing else is left */
}
END_TEST

START_TEST(run_without_validation_has_no_best)
{
    const char *d = fresh_directory();
    net *n = net_new(&plain);
    tg_training g = net_training(n, d);
    g.epochs = 2, g.validate = NULL;
    ck_assert_train(&g, TG_OK, NULL);
    ck_assert(!exists(d, "best.h5"));
    net_free(n);
    remove_directory(d);
}
END_TEST

START_TEST(directory_that_has_a_run_is_refused)
{
    static const char *const files[] = { "last.h5", "last.h5.1", "metrics.csv", "best.h5" };
    for (int i = 0; i < 4; i++) {
        char message[512];
        const char *d = fresh_directory();
        put_file(d, files[i]);
        ck_assert_int_eq(train(d, false, message, sizeof message), TG_ERR_EXISTS);
        ck_assert_msg(strstr(message, d) && strstr(message, files[i]), "%s", message);
        char *text = text_of(d, files[i]);
        ck_assert_str_eq(text, "old\n");
        free(text);
        remove_directory(d);
    }
}
END_TEST

START_TEST(force_begins_anew_and_leaves_nothing_of_the_old_run)
{
    const char *d = fresh_directory();
    put_file(d, "last.h5.1");
    put_file(d, "metrics.csv");
    put_file(d, "best.h5");
    put_file(d, "last.h5");
    net *n = net_new(&plain);
    tg_training g = net_training(n, d);
    g.steps = 1, g.force = true, g.validate = NULL;
    ck_assert_train(&g, TG_OK, NULL);
    ck_assert(!exists(d, "best.h5"));
    ck_assert_int_eq(tg_checkpoint_verify(n->cx, in(d, "last.h5").s), TG_OK);
    ck_assert_int_eq(tg_checkpoint_verify(n->cx, in(d, "last.h5.1").s), TG_OK); /* of step 0 */
    char *text = text_of(d, "metrics.csv");
    ck_assert_ptr_null(strstr(text, "old"));
    free(text);
    net_free(n);
    remove_directory(d);
}
END_TEST

static tg_status failing_save(void *user, tg_archive *a)
{
    (void)a;
    return tg_context_note(((net *)user)->cx, TG_ERR_DATA, "the vocabulary is gone");
}

START_TEST(force_keeps_the_old_run_when_the_new_one_cannot_begin)
{
    const char *d = fresh_directory();
    ck_assert_int_eq(train(d, false, NULL, 0), TG_OK);
    char *metrics = text_of(d, "metrics.csv");
    net *n = net_new(&plain);
    for (int i = 0; i < 2; i++) {
        tg_training g = net_training(n, d);
        g.epochs = i ? 2 : -1, g.force = true, g.save = failing_save;
        ck_assert_train(&g, i ? TG_ERR_DATA : TG_ERR_ARGUMENT, NULL);
        char *now = text_of(d, "metrics.csv");
        ck_assert_str_eq(metrics, now);
        ck_assert_int_eq(tg_checkpoint_verify(n->cx, in(d, "last.h5").s), TG_OK);
        ck_assert(exists(d, "best.h5") && exists(d, "last.h5.1"));
        free(now);
    }
    ck_assert_int_eq(n->losses, 0);
    free(metrics);
    net_free(n);
    remove_directory(d);
}
END_TEST

START_TEST(missing_directory_is_made_one_level_deep)
{
    const char *d = fresh_directory();
    const file_path one = in(d, "one"), two = in(d, "a/b");
    char message[512];
    ck_assert_int_eq(train(one.s, false, NULL, 0), TG_OK);
    ck_assert(exists(one.s, "last.h5"));
    ck_assert_int_eq(train(two.s, false, message, sizeof message), TG_ERR_IO);
    ck_assert_ptr_nonnull(strstr(message, two.s));
    put_file(d, "file");
    ck_assert_int_eq(train(in(d, "file").s, false, message, sizeof message), TG_ERR_IO);
    ck_assert_ptr_nonnull(strstr(message, "not a directory"));
    remove_directory(d);
}
END_TEST

START_TEST(path_that_is_too_long_is_refused)
{
    static char long_path[5000];
    memset(long_path, 'x', sizeof long_path - 1);
    ck_assert_int_eq(train(long_path, false, NULL, 0), TG_ERR_ARGUMENT);
}
END_TEST

/* ---- the lock ---- */

static const char *contested;

static void try_too(int64_t step)
{
    char message[512], pid[32];
    if (step != 3) return;
    ck_assert_int_eq(train(contested, true, message, sizeof message), TG_ERR_EXISTS);
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    ck_assert_msg(strstr(message, "another trainer") && strstr(message, contested) && strstr(message, pid),
                  "%s", message);
}

START_TEST(second_trainer_is_refused_and_the_first_goes_on)
{
    net_config c = plain;
    c.at_step = try_too;
    contested = fresh_directory();
    net *n = net_new(&c);
    tg_training g = net_training(n, contested);
    g.epochs = 3;
    ck_assert_train(&g, TG_OK, NULL);
    ck_assert_int_eq(n->losses, 21);
    ck_assert_int_eq(train(contested, true, NULL, 0), TG_OK); /* the lock is gone with its holder */
    net_free(n);
    remove_directory(contested);
}
END_TEST

START_TEST(of_two_that_race_for_a_directory_one_trains)
{
    const char *wish = getenv("TIDEGATE_KILLS"); /* how many rounds, for a long night */
    for (int round = 0, rounds = wish ? atoi(wish) : 25; round < rounds; round++) {
        const char *d = fresh_directory();
        int gate[2], trained = 0;
        ck_assert_int_eq(pipe(gate), 0);
        pid_t child[2];
        for (int i = 0; i < 2; i++) {
            fflush(NULL);
            child[i] = fork();
            if (child[i]) continue;
            char c;
            close(gate[1]);
            if (read(gate[0], &c, 1)) _exit(3); /* until the parent closes it */
            const tg_status s = train(d, false, NULL, 0);
            _exit(s == TG_OK ? 0 : s == TG_ERR_EXISTS ? 1 : 2);
        }
        close(gate[0]);
        close(gate[1]);
        for (int i = 0; i < 2; i++) {
            int status;
            ck_assert_int_eq(waitpid(child[i], &status, 0), child[i]);
            ck_assert_msg(status == 0 || status == 256, "status %x", status);
            trained += !status;
        }
        ck_assert_int_eq(trained, 1);
        char *metrics = text_of(d, "metrics.csv");
        int lines = 0;
        for (const char *p = metrics; *p; p++) lines += *p == '\n';
        ck_assert_int_eq(lines, 1 + 5); /* the header; steps 7, 10, 14, 20, 21 */
        free(metrics);
        remove_directory(d);
    }
}
END_TEST

static pid_t outlives; /* a program that a callback starts */

static void start_a_program(int64_t step)
{
    if (step != 2) return;
    outlives = fork();
    if (outlives) return;
    execlp("sleep", "sleep", "30", (char *)NULL);
    _exit(1);
}

START_TEST(lock_does_not_pass_to_programs_that_are_executed)
{
    const char *d = fresh_directory();
    net_config c = plain;
    c.at_step = start_a_program;
    net *n = net_new(&c);
    tg_training g = net_training(n, d);
    g.epochs = 1;
    ck_assert_train(&g, TG_OK, NULL);
    usleep(100000); /* until it is executed */
    ck_assert_int_eq(kill(outlives, 0), 0);
    const tg_status s = train(d, true, NULL, 0);
    kill(outlives, SIGKILL);
    waitpid(outlives, NULL, 0);
    ck_assert_int_eq(s, TG_OK);
    net_free(n);
    remove_directory(d);
}
END_TEST

/* ---- links, and what is no file ---- */

static tg_status go_on_or_begin(const char *directory, bool resume, char *message, size_t bytes)
{
    net *n = net_new(&plain);
    tg_training g = net_training(n, directory);
    g.steps = resume ? 40 : 7, g.resume = resume;
    const tg_status s = tg_train(&g, NULL);
    snprintf(message, bytes, "%s", tg_context_message(n->cx));
    net_free(n);
    return s;
}

START_TEST(links_and_fifos_in_the_directory_are_refused)
{
    static const char *const names[] = { "lock", "metrics.csv", "metrics.csv.part" };
    static const char *const words[] = { "symbolic link", "hard link", "not a regular file" };
    for (int i = 0; i < 3; i++)
        for (int kind = 0; kind < 3; kind++) {
            char message[512];
            const char *d = fresh_directory();
            ck_assert_int_eq(go_on_or_begin(d, false, message, sizeof message), TG_OK);
            put_file(d, "victim");
            const file_path victim = in(d, "victim"), planted = in(d, names[i]);
            if (i == 2) unlink(in(d, "metrics.csv").s); /* so that there is a part to write */
            unlink(planted.s);
            ck_assert_int_eq(kind == 0   ? symlink(victim.s, planted.s)
                             : kind == 1 ? link(victim.s, planted.s)
                                         : mkfifo(planted.s, 0600),
                             0);
            const tg_status s = go_on_or_begin(d, true, message, sizeof message); /* and does not wait */
            ck_assert_msg(s == TG_ERR_IO && strstr(message, names[i]) && strstr(message, words[kind]) &&
                              !strstr(message, "could not be written"),
                          "%s, %s: %d: %s", names[i], words[kind], s, message);
            char *text = text_of(d, "victim");
            ck_assert_str_eq(text, "old\n");
            free(text);
            remove_directory(d);
        }
}
END_TEST

START_TEST(checkpoint_that_is_no_file_is_refused_before_anything_is_lost)
{
    char message[512];
    const char *d = fresh_directory();
    ck_assert_int_eq(go_on_or_begin(d, false, message, sizeof message), TG_OK);
    ck_assert(exists(d, "last.h5.1"));
    unlink(in(d, "last.h5").s);
    ck_assert_int_eq(mkfifo(in(d, "last.h5").s, 0600), 0);
    ck_assert_int_eq(go_on_or_begin(d, true, message, sizeof message), TG_ERR_IO);
    ck_assert_msg(strstr(message, "not a regular file") && !strstr(message, "could not be written"), "%s",
                  message);
    remove_directory(d);
}
END_TEST

/* ---- the log of a resumed run ---- */

static int64_t stop_at;
static void die(int64_t step)
{
    if (step == stop_at) _exit(9);
}

static void train_and_die(const char *directory, int64_t step)
{
    fflush(NULL);
    const pid_t child = fork();
    if (!child) {
        net_config c = plain;
        c.at_step = die;
        stop_at = step;
        net *n = net_new(&c);
        tg_training g = net_training(n, directory);
        g.steps = 40, g.log_every = 2, g.checkpoint_every = 15, g.validate = NULL;
        _exit(tg_train(&g, NULL) ? 1 : 0);
    }
    int status;
    waitpid(child, &status, 0);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 9);
}

static tg_status go_on(const char *directory, int64_t steps, char *message, size_t bytes)
{
    net *n = net_new(&plain);
    tg_training g = net_training(n, directory);
    g.steps = steps, g.log_every = 2, g.checkpoint_every = 15, g.validate = NULL, g.resume = true;
    const tg_status s = tg_train(&g, NULL);
    if (message) snprintf(message, bytes, "%s", tg_context_message(n->cx));
    net_free(n);
    return s;
}

/* The steps of the rows, as "2 4 6 ". */
static const char *steps_of(const char *directory)
{
    static char steps[1024];
    char *text = text_of(directory, "metrics.csv");
    steps[0] = 0;
    for (char *line = strchr(text, '\n') + 1; *line; line = strchr(line, '\n') + 1)
        snprintf(steps + strlen(steps), sizeof steps - strlen(steps), "%ld ", strtol(line, NULL, 10));
    free(text);
    return steps;
}

START_TEST(rows_after_the_checkpoint_are_dropped)
{
    const char *d = fresh_directory();
    train_and_die(d, 26);
    ck_assert_str_eq(steps_of(d), "2 4 6 8 10 12 14 16 18 20 22 24 26 ");
    ck_assert_int_eq(go_on(d, 20, NULL, 0), TG_OK);
    ck_assert_str_eq(steps_of(d), "2 4 6 8 10 12 14 16 18 20 ");
    ck_assert(!exists(d, "metrics.csv.part"));
    remove_directory(d);
}
END_TEST

START_TEST(row_that_was_cut_off_is_dropped)
{
    const char *d = fresh_directory();
    train_and_die(d, 26);
    ck_assert_int_eq(
        truncate(
            in(d, "metrics.csv").s,
            (off_t)strlen("step,epoch,train_loss,valid_loss,lr,grad_norm,units_per_second,seconds\n2,1,0.5")),
        0);
    ck_assert_int_eq(go_on(d, 20, NULL, 0), TG_OK);
    ck_assert_str_eq(steps_of(d), "16 18 20 ");
    remove_directory(d);
}
END_TEST

START_TEST(missing_or_empty_log_is_begun_anew)
{
    for (int empty = 0; empty < 2; empty++) {
        const char *d = fresh_directory();
        train_and_die(d, 26);
        if (empty) ck_assert_int_eq(truncate(in(d, "metrics.csv").s, 0), 0);
        if (!empty) unlink(in(d, "metrics.csv").s);
        ck_assert_int_eq(go_on(d, 20, NULL, 0), TG_OK);
        ck_assert_str_eq(steps_of(d), "16 18 20 ");
        remove_directory(d);
    }
}
END_TEST

START_TEST(log_of_something_else_is_refused_and_kept)
{
    char message[512];
    const char *d = fresh_directory();
    train_and_die(d, 26);
    put_file(d, "metrics.csv");
    ck_assert_int_eq(go_on(d, 20, message, sizeof message), TG_ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(message, "metrics.csv"));
    char *text = text_of(d, "metrics.csv");
    ck_assert_str_eq(text, "old\n");
    free(text);
    ck_assert(!exists(d, "metrics.csv.part"));
    remove_directory(d);
}
END_TEST

static void put_bytes(const char *directory, const char *file, const char *data, size_t bytes)
{
    FILE *f = fopen(in(directory, file).s, "w");
    ck_assert(f && fwrite(data, 1, bytes, f) == bytes && !fclose(f));
}

START_TEST(log_saved_by_a_spreadsheet_is_taken_over)
{
    for (int mark = 0; mark < 2; mark++)
        for (int returns = 0; returns < 2; returns++) {
            const char *d = fresh_directory();
            train_and_die(d, 26);
            char *text = text_of(d, "metrics.csv"), *saved = calloc(1, 2 * strlen(text) + 4), *to = saved;
            if (mark) to += sprintf(to, "\xEF\xBB\xBF");
            for (const char *from = text; *from; *to++ = *from++)
                if (*from == '\n' && returns) *to++ = '\r';
            put_bytes(d, "metrics.csv", saved, strlen(saved));
            ck_assert_int_eq(go_on(d, 20, NULL, 0), TG_OK);
            char *now = text_of(d, "metrics.csv");
            const char *row18 = strstr(text, "\n16,");
            ck_assert_int_eq(strncmp(now, text, (size_t)(row18 - text)),
                             0); /* up to the checkpoint, of step 15 */
            ck_assert(!strchr(now, '\r'));
            ck_assert_str_eq(steps_of(d), "2 4 6 8 10 12 14 16 18 20 ");
            free(text), free(saved), free(now);
            remove_directory(d);
        }
}
END_TEST

START_TEST(log_that_a_power_cut_left_as_zeros_is_set_aside)
{
    static const char zeros[100];
    const char *d = fresh_directory();
    train_and_die(d, 26);
    put_bytes(d, "metrics.csv", zeros, sizeof zeros);
    net *n = net_new(&plain);
    tg_training g = net_training(n, d);
    g.steps = 20, g.log_every = 2, g.validate = NULL, g.resume = true;
    ck_assert_train(&g, TG_OK, NULL);
    ck_assert_msg(strstr(n->log, "metrics.csv.damaged") != NULL, "%s", n->log);
    net_free(n);
    ck_assert_str_eq(steps_of(d), "16 18 20 ");
    struct stat is;
    ck_assert(!stat(in(d, "metrics.csv.damaged").s, &is) && is.st_size == sizeof zeros);
    remove_directory(d);
}
END_TEST

START_TEST(resume_that_fails_changes_no_file)
{
    static const char *const files[] = { "last.h5", "last.h5.1", "metrics.csv" };
    char *before[3];
    const char *d = fresh_directory();
    train_and_die(d, 36); /* the checkpoints are of steps 30 and 15, the log goes to 36 */
    for (int i = 0; i < 3; i++) before[i] = text_of(d, files[i]);
    net_config c = plain;
    c.shape_error_at = 30;
    net *n = net_new(&c);
    tg_training g = net_training(n, d);
    g.steps = 40, g.log_every = 2, g.checkpoint_every = 15, g.validate = NULL, g.resume = true;
    ck_assert_train(&g, TG_ERR_SHAPE, NULL);
    net_free(n);
    for (int i = 0; i < 3; i++) {
        char *after = text_of(d, files[i]);
        ck_assert_msg(!strcmp(before[i], after), "%s", files[i]);
        free(before[i]), free(after);
    }
    remove_directory(d);
}
END_TEST

/* The last field of the row of that step. */
static double seconds_at(const char *directory, long step)
{
    char *text = text_of(directory, "metrics.csv");
    double seconds = -1;
    for (char *line = strchr(text, '\n') + 1, *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        *end = 0;
        if (strtol(line, NULL, 10) == step) seconds = atof(strrchr(line, ',') + 1);
    }
    free(text);
    return seconds;
}

START_TEST(seconds_go_on_counting_over_a_resume)
{
    const char *d = fresh_directory();
    train_and_die(d, 31); /* the checkpoint is of step 30 */
    const double before = seconds_at(d, 30);
    ck_assert_double_gt(before, 0);
    ck_assert_int_eq(go_on(d, 40, NULL, 0), TG_OK);
    ck_assert_double_eq(seconds_at(d, 30), before);
    ck_assert_double_gt(seconds_at(d, 32), before);
    remove_directory(d);
}
END_TEST

START_TEST(decimal_point_is_a_point_in_every_locale)
{
    static const char *const names[] = { "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE" };
    bool found = false;
    for (int i = 0; i < 4 && !found; i++) found = setlocale(LC_ALL, names[i]) != NULL;
    const char *d = fresh_directory();
    ck_assert_int_eq(train(d, false, NULL, 0), TG_OK);
    char *text = text_of(d, "metrics.csv");
    for (char *line = strchr(text, '\n') + 1; *line; line = strchr(line, '\n') + 1) {
        int commas = 0;
        for (const char *p = line; *p != '\n'; p++) commas += *p == ',';
        ck_assert_int_eq(commas, 7);
    }
    free(text);
    remove_directory(d);
}
END_TEST

TG_TEST_MAIN("train/directory", directory_holds_the_run, run_without_validation_has_no_best,
             directory_that_has_a_run_is_refused, force_begins_anew_and_leaves_nothing_of_the_old_run,
             force_keeps_the_old_run_when_the_new_one_cannot_begin, missing_directory_is_made_one_level_deep,
             path_that_is_too_long_is_refused, second_trainer_is_refused_and_the_first_goes_on,
             of_two_that_race_for_a_directory_one_trains, lock_does_not_pass_to_programs_that_are_executed,
             links_and_fifos_in_the_directory_are_refused,
             checkpoint_that_is_no_file_is_refused_before_anything_is_lost,
             log_saved_by_a_spreadsheet_is_taken_over, log_that_a_power_cut_left_as_zeros_is_set_aside,
             resume_that_fails_changes_no_file, rows_after_the_checkpoint_are_dropped,
             row_that_was_cut_off_is_dropped, missing_or_empty_log_is_begun_anew,
             log_of_something_else_is_refused_and_kept, seconds_go_on_counting_over_a_resume,
             decimal_point_is_a_point_in_every_locale)
