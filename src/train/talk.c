/* train/talk.c -- progress and news: one redrawn line on a terminal, plain lines elsewhere. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <tidegate/text.h>

#include "train/driver.h"

static const double between_bars = 0.1; /* seconds */

/* From 2 s by a fiftieth of the time so far to ten minutes: 390 lines in ten hours, 480 in a day. */
double tg__talk_interval(double seconds) { return fmin(fmax(2, seconds / 50), 600); }

double tg__seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void tg__talk_open(talk *k, FILE *out, const char *unit)
{
    const char *term = getenv("TERM");
    *k = (talk){ .out = out,
                 .unit = unit ? unit : "tokens",
                 .begun = tg__seconds(),
                 .last_bar = -INFINITY,
                 .last_line = -INFINITY };
    k->terminal = out && isatty(fileno(out)) && term && strcmp(term, "dumb");
}

void tg__talk_close(talk *k)
{
    if (!k->drawn) return;
    fputs("\r\033[K", k->out);
    fflush(k->out);
    k->drawn = false;
}

void tg__talk_say(talk *k, const char *format, ...)
{
    char sentence[2048], shown[4 * sizeof sentence];
    if (!k->out) return;
    tg__talk_close(k);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    tg_text_printable(sentence, shown, sizeof shown);
    fprintf(k->out, "%s\n", shown);
    fflush(k->out);
}

/* ---- pieces of a line ---- */

typedef struct line {
    char s[512];
    int n;
} line;

static void add(line *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(line *l, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int n = vsnprintf(l->s + l->n, sizeof l->s - (size_t)l->n, format, arguments);
    va_end(arguments);
    if (n > 0) l->n += n;
    if (l->n >= (int)sizeof l->s) l->n = (int)sizeof l->s - 1;
}

/* 12.3k tokens/s */
static void add_speed(line *l, double per_second, const char *unit)
{
    static const struct {
        double factor;
        const char *letter;
    } scale[] = { { 1e9, "G" }, { 1e6, "M" }, { 1e3, "k" } };
    for (size_t i = 0; i < sizeof scale / sizeof *scale; i++)
        if (per_second >= scale[i].factor) {
            add(l, "  %.1f%s %s/s", per_second / scale[i].factor, scale[i].letter, unit);
            return;
        }
    add(l, "  %.3g %s/s", per_second, unit);
}

/* 0:00:41, 26:02:03 */
static void add_clock(line *l, double seconds)
{
    const long long s = (long long)(fmin(seconds, 1e15) + 0.5);
    add(l, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
}

/* ---- a row of the log ---- */

void tg__talk_row(talk *k, const metrics_row *row, bool best)
{
    const double now = tg__seconds();
    if (!k->out ||
        (!row->has_valid && (k->terminal || now - k->last_line < tg__talk_interval(now - k->begun))))
        return;
    line l = { "", 0 };
    if (row->epoch) add(&l, "epoch %lld  ", (long long)row->epoch);
    add(&l, "step %lld", (long long)row->step);
    if (row->has_train) add(&l, "  train %.4g", row->train_loss);
    if (row->has_valid) add(&l, "  valid %.4g%s", row->valid_loss, best ? " (best)" : "");
    if (row->has_speed) add_speed(&l, row->units_per_second, k->unit);
    add(&l, "  ");
    add_clock(&l, row->seconds);
    tg__talk_say(k, "%s", l.s);
    k->last_line = now;
}

/* ---- the bar ---- */

static int columns(FILE *out)
{
    struct winsize size = { 0 };
    if (!ioctl(fileno(out), TIOCGWINSZ, &size) && size.ws_col > 0) return size.ws_col;
    const char *text = getenv("COLUMNS");
    const int n = text ? atoi(text) : 0;
    return n > 0 ? n : 80;
}

bool tg__talk_bar_is_due(const talk *k)
{
    return k->out && k->terminal && tg__seconds() - k->last_bar >= between_bars;
}

/* epoch 3/10 [=====>    ] step 412/1230  loss 1.234  lr 0.001  12.3k tokens/s  0:00:41 left */
void tg__talk_draw(talk *k, const talk_bar *bar)
{
    enum { WIDEST = 30, NARROWEST = 5 };
    line head = { "", 0 }, tail = { "", 0 };
    if (bar->epoch) add(&head, "epoch %lld", (long long)bar->epoch);
    if (bar->epoch && bar->epochs) add(&head, "/%lld", (long long)bar->epochs);
    add(&tail, "step %lld", (long long)bar->step);
    if (bar->steps) add(&tail, "/%lld", (long long)bar->steps);
    if (!isnan(bar->loss)) add(&tail, "  loss %.4g", bar->loss);
    add(&tail, "  lr %.3g", bar->lr);
    if (!isnan(bar->units_per_second)) add_speed(&tail, bar->units_per_second, k->unit);
    if (!isnan(bar->left)) add(&tail, "  "), add_clock(&tail, bar->left), add(&tail, " left");

    const int room = columns(k->out) - 1; /* the last column would wrap on some terminals */
    int width = room - head.n - tail.n - 4;
    if (width > WIDEST) width = WIDEST;
    if (bar->steps && width >= NARROWEST) {
        const double done = (double)bar->step / (double)bar->steps;
        const int full = (int)(width * (done < 1 ? done : 1));
        if (head.n) add(&head, " ");
        add(&head, "[");
        for (int i = 0; i < width; i++) add(&head, "%c", i < full ? '=' : i == full ? '>' : ' ');
        add(&head, "]");
    }
    if (head.n) add(&head, " ");
    add(&head, "%s", tail.s);
    fprintf(k->out, "\r%.*s\033[K", room > 0 ? room : 0, head.s);
    fflush(k->out);
    k->drawn = true;
    k->last_bar = tg__seconds();
}
