/* tests/test_train_talk.c -- what people see: a bar on a terminal, lines elsewhere, or nothing. */
#include <fcntl.h>
#include <math.h>
#include <sys/ioctl.h>

#include "train/driver.h"
#include "train_fixture.h"

static const net_config plain = { .seed = 5, .batches = 7 };

/* All that a run says to a stream that is no terminal. */
static char *said_by(net *n, tg_training *g)
{
    char *said = NULL;
    size_t bytes = 0;
    g->talk = open_memstream(&said, &bytes);
    const tg_status s = tg_train(g, NULL);
    fclose(g->talk);
    ck_assert_msg(!s, "%s", tg_context_message(n->cx));
    return said;
}

START_TEST(without_talk_all_is_silent)
{
    const char *d = fresh_directory();
    FILE *file = tmpfile();
    fflush(NULL);
    const int out = dup(1), err = dup(2);
    dup2(fileno(file), 1), dup2(fileno(file), 2);
    net_config c = plain;
    c.bad_from = 3, c.bad_until = 5;
    net *n = net_new(&c);
    tg_training g = net_training(n, d);
    g.epochs = 5;
    const tg_status s = tg_train(&g, NULL);
    fflush(NULL);
    dup2(out, 1), dup2(err, 2);
    close(out), close(err);
    ck_assert_int_eq(s, TG_OK);
    ck_assert_int_eq((int)lseek(fileno(file), 0, SEEK_END), 0);
    fclose(file);
    net_free(n);
    remove_directory(d);
}
END_TEST

START_TEST(lines_are_plain_and_few)
{
    static const double valid[] = { 3, 2, 2.5 };
    net *n = net_new(&(net_config){ .seed = 5, .batches = 7, .valid = valid });
    tg_training g = net_training(n, NULL);
    g.epochs = 3, g.log_every = 1, g.unit = "frames";
    char *said = said_by(n, &g), *line = said;
    int lines = 0, best = 0;
    ck_assert_ptr_null(strchr(said, '\r'));
    ck_assert_ptr_null(strchr(said, '\033'));
    for (char *end; (end = strchr(line, '\n')); line = end + 1, lines++) {
        *end = 0;
        best += strstr(line, "(best)") != NULL;
        if (strstr(line, "  valid "))
            ck_assert_msg(strstr(line, "epoch ") && strstr(line, "step ") && strstr(line, "train ") &&
                              strstr(line, "frames/s  0:00:0"),
                          "%s", line);
    }
    ck_assert_int_eq(*line, 0);
    ck_assert_int_eq(best, 2);
    ck_assert_int_eq(lines, 1 + 3 + 1); /* the first row; three validations; the end */
    free(said);
    net_free(n);
}
END_TEST

/* Lines of a run that has a row each second. */
static int lines_within(double seconds)
{
    int lines = 0;
    for (double now = 0, last = -INFINITY; now < seconds; now++)
        if (now - last >= tg__talk_interval(now)) lines++, last = now;
    return lines;
}

START_TEST(lines_come_at_growing_intervals)
{
    ck_assert_int_eq(lines_within(60), 30);
    ck_assert_int_lt(lines_within(3600), 300);
    ck_assert_int_lt(lines_within(10 * 3600), 400);
    ck_assert_int_lt(lines_within(24 * 3600), 500);
    ck_assert(tg__talk_interval(1e9) == 600); /* nobody waits longer for a sign of life */
}
END_TEST

START_TEST(times_are_hours_minutes_and_seconds)
{
    static const struct {
        double seconds;
        const char *shown;
    } cases[] = { { 0.4, "0:00:00" }, { 59.5, "0:01:00" }, { 3599, "0:59:59" }, { 360000, "100:00:00" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *said = NULL, expected[64];
        size_t bytes = 0;
        talk k;
        tg__talk_open(&k, open_memstream(&said, &bytes), NULL);
        tg__talk_row(&k, &(metrics_row){ .step = 7, .seconds = cases[i].seconds }, false);
        fclose(k.out);
        snprintf(expected, sizeof expected, "step 7  %s\n", cases[i].shown);
        ck_assert_str_eq(said, expected);
        free(said);
    }
}
END_TEST

START_TEST(end_tells_the_best_validation)
{
    static const double valid[] = { 3, 2, 2.5 };
    net *n = net_new(&(net_config){ .seed = 5, .batches = 7, .valid = valid });
    tg_training g = net_training(n, NULL);
    g.epochs = 3;
    char *said = said_by(n, &g);
    ck_assert_msg(strstr(said, "done: 21 steps, the best validation loss is 2 at step 14\n") != NULL, "%s",
                  said);
    free(said);
    net_free(n);
}
END_TEST

START_TEST(resume_tells_where_it_goes_on_and_when_there_is_nothing_to_do)
{
    const char *d = fresh_directory();
    for (int epochs = 2, i = 0; i < 3; i++) {
        net *n = net_new(&plain);
        tg_training g = net_training(n, d);
        epochs += i == 1;
        g.epochs = epochs, g.resume = i > 0;
        char *said = said_by(n, &g);
        ck_assert_int_eq(strstr(said, "going on after step ") != NULL, i > 0);
        ck_assert_int_eq(strstr(said, "nothing to do, the run is complete") != NULL, i == 2);
        free(said);
        net_free(n);
    }
    remove_directory(d);
}
END_TEST

START_TEST(run_that_patience_ended_says_so_when_it_is_resumed)
{
    static const double valid[] = { 1, 2, 2, 2 };
    const char *d = fresh_directory();
    for (int i = 0; i < 2; i++) {
        net *n = net_new(&(net_config){ .seed = 5, .batches = 7, .valid = valid });
        tg_training g = net_training(n, d);
        g.epochs = i ? 50 : 10, g.resume = i, g.patience = 2;
        char *said = said_by(n, &g);
        ck_assert_msg((strstr(said, "nothing to do, patience has ended the run (2 validations") != NULL) == i,
                      "%s", said);
        free(said);
        net_free(n);
    }
    remove_directory(d);
}
END_TEST

START_TEST(end_without_a_finite_validation_loss_names_no_best)
{
    static const double valid[] = { (double)NAN, (double)INFINITY };
    const char *d = fresh_directory();
    net *n = net_new(&(net_config){ .seed = 5, .batches = 7, .valid = valid });
    tg_training g = net_training(n, d);
    g.epochs = 2;
    char *said = said_by(n, &g);
    ck_assert_msg(strstr(said, "done: 14 steps\n") != NULL, "%s", said);
    ck_assert(!exists(d, "best.h5"));
    free(said);
    net_free(n);
    remove_directory(d);
}
END_TEST

/* ---- a terminal ---- */

static void slow(int64_t step)
{
    (void)step;
    usleep(4000);
}

/* A system without pseudo-terminals (a bare chroot, say) has no terminal to draw on: nothing to test. */
static bool has_terminals(void)
{
    const int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0) fprintf(stderr, "there are no pseudo-terminals here: the bar is not tested\n");
    if (master >= 0) close(master);
    return master >= 0;
}

/* All that a run draws on a terminal of so many columns. */
static char *drawn_on(int columns, const char *term, net *n, tg_training *g)
{
    const int master = posix_openpt(O_RDWR | O_NOCTTY);
    ck_assert_int_ge(master, 0);
    ck_assert_int_eq(grantpt(master) | unlockpt(master), 0);
    const int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    ck_assert_int_ge(slave, 0);
    ck_assert_int_eq(
        ioctl(slave, TIOCSWINSZ, &(struct winsize){ .ws_row = 24, .ws_col = (unsigned short)columns }), 0);
    ck_assert_int_eq(fcntl(master, F_SETFL, O_NONBLOCK), 0);
    setenv("TERM", term, 1);
    g->talk = fdopen(slave, "w");
    const tg_status s = tg_train(g, NULL);
    ck_assert_msg(!s, "%s", tg_context_message(n->cx));
    fflush(g->talk);
    char *drawn = calloc(1, 1 << 16);
    int got = 0;
    for (ssize_t more; (more = read(master, drawn + got, (size_t)((1 << 16) - 1 - got))) > 0;)
        got += (int)more;
    fclose(g->talk);
    close(master);
    return drawn;
}

static int count(const char *text, const char *what)
{
    int n = 0;
    for (const char *p = text; (p = strstr(p, what)); p++) n++;
    return n;
}

/* The longest line that stands between a return and an erasure of the rest. */
static int widest_bar(const char *drawn)
{
    int widest = 0;
    for (const char *p = drawn; (p = strchr(p, '\r')); p++) {
        const char *end = strpbrk(p + 1, "\r\n\033");
        const int width = end ? (int)(end - p) - 1 : 0;
        if (end && *end == '\033' && width > widest) widest = width;
    }
    return widest;
}

START_TEST(terminal_gets_one_bar_that_fits)
{
    static const int widths[] = { 200, 80, 40, 10 };
    if (!has_terminals()) return;
    for (int i = 0; i < 4; i++) {
        net_config c = plain;
        c.at_step = slow;
        net *n = net_new(&c);
        tg_training g = net_training(n, NULL);
        g.epochs = 12;
        const double begun = tg__seconds();
        char *drawn = drawn_on(widths[i], "xterm", n, &g);
        const double seconds = tg__seconds() - begun;
        const int bars = count(drawn, "\repoch");
        ck_assert_int_gt(bars, 1);
        ck_assert_int_le(bars, 1 + (int)(10 * seconds)); /* ten a second at most; there are 84 steps */
        ck_assert_int_gt(widest_bar(drawn), 5);
        ck_assert_int_lt(widest_bar(drawn), widths[i]);
        if (widths[i] == 200)
            ck_assert_msg(strstr(drawn, "epoch 1/12 [") && strstr(drawn, "/84  loss ") &&
                              strstr(drawn, "lr 0.01") && strstr(drawn, "tokens/s") &&
                              strstr(drawn, " left\033[K"),
                          "%s", drawn);
        ck_assert_ptr_nonnull(strstr(drawn, "\033[K\r\033[K")); /* cleared before a line */
        ck_assert_int_eq(count(drawn, "\n"), 12 + 1);           /* the validations and the end */
        ck_assert_ptr_nonnull(strstr(drawn, "done: 84 steps"));
        free(drawn);
        net_free(n);
    }
}
END_TEST

START_TEST(dumb_terminal_gets_lines)
{
    if (!has_terminals()) return;
    net *n = net_new(&plain);
    tg_training g = net_training(n, NULL);
    g.epochs = 2;
    char *drawn = drawn_on(80, "dumb", n, &g);
    ck_assert_ptr_null(strstr(drawn, "\033"));
    ck_assert_ptr_nonnull(strstr(drawn, "epoch 2  step 14  train "));
    free(drawn);
    net_free(n);
}
END_TEST

TG_TEST_MAIN("train/talk", without_talk_all_is_silent, lines_are_plain_and_few,
             lines_come_at_growing_intervals, times_are_hours_minutes_and_seconds,
             end_tells_the_best_validation, resume_tells_where_it_goes_on_and_when_there_is_nothing_to_do,
             run_that_patience_ended_says_so_when_it_is_resumed,
             end_without_a_finite_validation_loss_names_no_best, terminal_gets_one_bar_that_fits,
             dumb_terminal_gets_lines)
