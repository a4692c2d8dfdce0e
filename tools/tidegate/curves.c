/* tools/tidegate/curves.c -- see curves.h. One large panel for the losses, two small ones below. */
#include "curves.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "axis.h"
#include "svg.h"
#include "unicode.h"

enum { WIDTH = 960, HEIGHT = 716, LEFT = 92, RIGHT = 890, SMALL = 346 };
enum { MANY_ROWS = 60, FEW_ROWS = 40, LONGEST_NAME = 44 };
static const double LETTER = 6.3; /* width of an average letter, of 12 pixels */

/* Okabe and Ito, "Color Universal Design" (2008): told apart by the colour-blind, too. */
static const char *const colours[CURVES_MOST_RUNS] = { "#0072B2", "#D55E00", "#009E73",
                                                       "#CC79A7", "#E69F00", "#56B4E9" };

typedef struct picture {
    FILE *f;
    int runs;
    const curves_run *run;
} picture;

typedef struct panel {
    const picture *p;
    double left, top, width, height;
    axis x, y;
} panel;

/* ---- ranges ---- */

typedef struct range {
    double smallest, largest;
} range;

static void widen(range *r, const picture *p, int column)
{
    for (int k = 0; k < p->runs; k++)
        for (int i = 0; i < p->run[k].metrics.rows; i++) {
            const double x = p->run[k].metrics.column[column][i];
            if (!isfinite(x)) continue;
            r->smallest = fmin(r->smallest, x);
            r->largest = fmax(r->largest, x);
        }
}

static range range_of(const picture *p, int column)
{
    range r = { INFINITY, -INFINITY };
    widen(&r, p, column);
    return r;
}

static bool is_empty(range r) { return r.smallest > r.largest; }

static axis fit(range r, curves_scale scale, int ticks)
{
    if (is_empty(r)) return axis_linear(0, 1, ticks);
    const bool wide = r.smallest > 0 && r.largest / r.smallest > 20;
    if (r.smallest > 0 && (scale == CURVES_LOG || (scale == CURVES_AUTO && wide)))
        return axis_log(r.smallest, r.largest);
    return axis_linear(r.smallest, r.largest, ticks);
}

/* Steps: no room is left behind the last one. */
static axis fit_steps(const picture *p, int ticks)
{
    const range r = range_of(p, METRICS_STEP);
    axis a = axis_linear(r.smallest, r.largest, ticks);
    if (r.largest > a.min) a.max = r.largest;
    a.step = fmax(a.step, 1);
    return a;
}

static panel place(const picture *p, double left, double top, double width, double height, axis y)
{
    panel b = { p, left, top, width, height, fit_steps(p, width > 500 ? 9 : 5), y };
    b.x.from = left, b.x.to = left + width;
    b.y.from = top + height, b.y.to = top;
    return b;
}

/* ---- what surrounds the curves ---- */

static void draw_frame(const panel *b, const char *y_title)
{
    double tick[AXIS_MOST_TICKS];
    char label[AXIS_LABEL];
    FILE *f = b->p->f;
    const double bottom = b->top + b->height, right = b->left + b->width;
    for (int i = 0, n = axis_ticks(&b->y, tick); i < n; i++) {
        const double y = axis_at(&b->y, tick[i]);
        axis_label(&b->y, tick[i], label);
        svg_put(f, "<path stroke='#e4e4e4' d='M%g %gH%g'/>", b->left, y, right);
        svg_put(f, "<text x='%g' y='%g' text-anchor='end' fill='#555'>%s</text>\n", b->left - 8, y + 4,
                label);
    }
    for (int i = 0, n = axis_ticks(&b->x, tick); i < n; i++) {
        const double x = axis_at(&b->x, tick[i]);
        axis_label(&b->x, tick[i], label);
        svg_put(f, "<path stroke='#888' d='M%g %gv5'/>", x, bottom);
        svg_put(f, "<text x='%g' y='%g' text-anchor='middle' fill='#555'>%s</text>\n", x, bottom + 19, label);
    }
    svg_put(f, "<path stroke='#888' fill='none' d='M%g %gV%gH%g'/>\n", b->left, b->top, bottom, right);
    svg_put(f, "<text x='%g' y='%g' text-anchor='middle'>step</text>\n", b->left + b->width / 2, bottom + 38);
    svg_put(f, "<text transform='translate(%g %g) rotate(-90)' text-anchor='middle'>%s%s</text>\n",
            b->left - 66, b->top + b->height / 2, y_title, b->y.log ? ", log scale" : "");
}

static void draw_absence(const panel *b, const char *what)
{
    svg_put(b->p->f, "<text x='%g' y='%g' text-anchor='middle' fill='#888'>%s</text>\n",
            b->left + b->width / 2, b->top + b->height / 2, what);
}

/* ---- curves ---- */

/* Rows that fall into one column of pixels: where the lowest and the highest lie. */
typedef struct bucket {
    int column; /* -1: empty */
    double x[2], y[2];
    int row[2];
} bucket;

static void flush(bucket *k, svg_line *line)
{
    const int first = k->row[0] > k->row[1];
    if (k->column < 0) return;
    svg_line_point(line, k->x[first], k->y[first]);
    if (k->row[0] != k->row[1]) svg_line_point(line, k->x[!first], k->y[!first]);
    k->column = -1;
}

static void add(bucket *k, double x, double y, int row)
{
    const bool fresh = k->column < 0;
    for (int side = 0; side < 2; side++)
        if (fresh || (side ? y > k->y[1] : y < k->y[0])) k->x[side] = x, k->y[side] = y, k->row[side] = row;
    k->column = (int)x;
}

/* Through all rows, but of those in one column of pixels only the lowest and the highest: no peak is lost, and a million
 * rows make no larger picture than some thousand. Rows without a value are passed over; a value that is not finite
 * makes a gap. */
static void draw_line(const panel *b, const metrics_table *m, const double *value, const char *style)
{
    svg_line line = svg_line_begin(b->p->f, style);
    bucket k = { .column = -1 };
    for (int i = 0; i < m->rows; i++) {
        if (isnan(value[i])) continue;
        const double x = axis_at(&b->x, m->column[METRICS_STEP][i]), y = axis_at(&b->y, value[i]);
        const bool there = isfinite(x) && isfinite(y);
        if (!there || (int)x != k.column) flush(&k, &line);
        if (there)
            add(&k, x, y, i);
        else
            svg_line_point(&line, NAN, NAN);
    }
    flush(&k, &line);
    svg_line_end(&line);
}

static void draw_markers(const panel *b, const metrics_table *m, const double *value, double radius,
                         const char *style)
{
    double last = -INFINITY;
    for (int i = 0; i < m->rows; i++) {
        const double x = axis_at(&b->x, m->column[METRICS_STEP][i]), y = axis_at(&b->y, value[i]);
        if (!isfinite(x) || !isfinite(y) || x < last + 3 * radius) continue;
        svg_put(b->p->f, "<circle cx='%g' cy='%g' r='%g' ", x, y, radius);
        fprintf(b->p->f, "%s/>\n", style);
        last = x;
    }
}

static int finite_rows(const metrics_table *m, const double *value)
{
    int n = 0;
    for (int i = 0; i < m->rows; i++) n += isfinite(value[i]);
    return n;
}

/* Rows on either side that a value is smoothed with; 0: there are too few to smooth. */
static int half_window(int finite) { return finite < MANY_ROWS ? 0 : finite / 60 + 1; }

/* Sums of the finite values before each, to be smoothed in one pass. */
typedef struct sums {
    double y, ky; /* of the values, and of each times its number among them */
} sums;

/* What the straight line through values first..last has at k: within the curve that is their mean, and at its ends,
 * where there are no neighbours on one side, a falling curve is not lifted. */
static double line_at(const sums *before, int first, int last, int k)
{
    const double n = last - first + 1, middle = 0.5 * (first + last);
    const double y = before[last + 1].y - before[first].y, ky = before[last + 1].ky - before[first].ky;
    return y / n + (k - middle) * (ky - middle * y) / (n * (n * n - 1) / 12);
}

/* Each finite value becomes that of the line through it and `half` > 0 on either side. smooth (rows), work (rows+1) */
static void smooth_values(const metrics_table *m, const double *value, int half, double *smooth, sums *work)
{
    int n = 0;
    work[0] = (sums){ 0 };
    for (int i = 0; i < m->rows; i++)
        if (isfinite(value[i])) {
            work[n + 1] = (sums){ work[n].y + value[i], work[n].ky + n * value[i] };
            n++;
        }
    for (int i = 0, k = 0; i < m->rows; i++) {
        smooth[i] = value[i];
        if (!isfinite(value[i])) continue;
        smooth[i] = line_at(work, k > half ? k - half : 0, k + half < n ? k + half : n - 1, k);
        k++;
    }
}

/* The values lightly and, if they are many, a smooth line above them. false: out of memory. */
static bool draw_noisy(const panel *b, const metrics_table *m, const double *value, const char *colour,
                       bool thick)
{
    char style[128];
    const int finite = finite_rows(m, value), half = half_window(finite);
    snprintf(style, sizeof style, "stroke='%s' stroke-width='%s' stroke-opacity='%s'", colour,
             half ? "1" : "1.5", half ? "0.3" : "0.8");
    draw_line(b, m, value, style);
    if (finite <= FEW_ROWS) {
        snprintf(style, sizeof style, "fill='%s'", colour);
        draw_markers(b, m, value, 1.8, style);
    }
    if (!half) return true;
    double *smooth = malloc((size_t)m->rows * sizeof *smooth);
    sums *work = malloc(((size_t)m->rows + 1) * sizeof *work);
    if (smooth && work) {
        smooth_values(m, value, half, smooth, work);
        snprintf(style, sizeof style, "stroke='%s' stroke-width='%s'", colour, thick ? "2" : "1.2");
        draw_line(b, m, smooth, style);
    }
    const bool good = smooth && work;
    free(smooth);
    free(work);
    return good;
}

/* ---- the losses ---- */

/* The row of the lowest validation loss; -1: there is none. */
static int best_row(const metrics_table *m)
{
    const double *valid = m->column[METRICS_VALID_LOSS];
    int best = -1;
    for (int i = 0; i < m->rows; i++)
        if (isfinite(valid[i]) && (best < 0 || valid[i] < valid[best])) best = i;
    return best;
}

static void draw_validation(const panel *b, const metrics_table *m, const char *colour)
{
    char style[128];
    const double *valid = m->column[METRICS_VALID_LOSS];
    snprintf(style, sizeof style, "stroke='%s' stroke-width='2'", colour);
    draw_line(b, m, valid, style);
    snprintf(style, sizeof style, "fill='#fff' stroke='%s' stroke-width='1.5'", colour);
    draw_markers(b, m, valid, 3, style);
    const int best = best_row(m);
    if (best < 0) return;
    const double x = axis_at(&b->x, m->column[METRICS_STEP][best]), y = axis_at(&b->y, valid[best]);
    if (!isfinite(y)) return;
    svg_put(b->p->f, "<circle cx='%g' cy='%g' r='5' fill='%s' stroke='#fff' stroke-width='1.5'/>\n", x, y,
            colour);
    if (b->p->runs > 1) return;
    char value[AXIS_LABEL];
    const double right = b->left + b->width;
    axis_number(valid[best], 3, value);
    svg_put(b->p->f, "<path stroke='%s' stroke-dasharray='2 3' d='M%g %gH%g'/>", colour, x + 7, y, right + 4);
    svg_put(b->p->f, "<text x='%g' y='%g' fill='%s' font-size='11'>best</text>", right + 8, y - 3, colour);
    svg_put(b->p->f, "<text x='%g' y='%g' fill='%s' font-weight='bold'>%s</text>\n", right + 8, y + 10,
            colour, value);
}

/* ---- the legend ---- */

typedef enum sample { SAMPLE_NONE, SAMPLE_LINE, SAMPLE_MARKED } sample;

typedef struct legend {
    struct {
        sample sample;
        const char *colour;
        char text[384];
    } entry[CURVES_MOST_RUNS + 1];
    int n;
} legend;

/* The end of a path tells runs apart, so that is what stays of a long one. */
static void shorten(const char *name, char *to, size_t bytes)
{
    const char *rest = name;
    uint32_t code;
    while (unicode_columns(rest) > LONGEST_NAME - (rest > name)) rest += unicode_next(rest, &code);
    const int cut = snprintf(to, bytes, "%s", rest > name ? "…" : "");
    unicode_elide(rest, LONGEST_NAME, to + cut, bytes - (size_t)cut);
}

/* "before" and, if there is one, "best 0.0418 at step 2,628". */
static void add_with_best(legend *l, const char *colour, const char *before, const metrics_table *m)
{
    char value[AXIS_LABEL], step[AXIS_LABEL], name[200];
    const int best = best_row(m), i = l->n++;
    l->entry[i].sample = best < 0 ? SAMPLE_LINE : SAMPLE_MARKED;
    l->entry[i].colour = colour;
    shorten(before, name, sizeof name);
    snprintf(l->entry[i].text, sizeof l->entry[i].text, "%s", name);
    if (best < 0) return;
    axis_number(m->column[METRICS_VALID_LOSS][best], 3, value);
    axis_number(m->column[METRICS_STEP][best], 1, step);
    snprintf(l->entry[i].text, sizeof l->entry[i].text, "%s: best %s at step %s", name, value, step);
}

static legend legend_of(const picture *p)
{
    legend l = { .n = 0 };
    const metrics_table *m = &p->run[0].metrics;
    const int half = half_window(finite_rows(m, m->column[METRICS_TRAIN_LOSS]));
    char smoothed[64] = "";
    if (p->runs == 1) {
        if (half) snprintf(smoothed, sizeof smoothed, " (bold: smoothed over %d rows)", 2 * half + 1);
        l.entry[l.n].sample = SAMPLE_LINE;
        l.entry[l.n].colour = colours[0];
        snprintf(l.entry[l.n++].text, sizeof l.entry[0].text, "training%s", smoothed);
        if (best_row(m) >= 0) add_with_best(&l, colours[1], "validation", m);
        return l;
    }
    for (int k = 0; k < p->runs; k++) add_with_best(&l, colours[k], p->run[k].name, &p->run[k].metrics);
    snprintf(l.entry[l.n++].text, sizeof l.entry[0].text, "circles: validation; without: training");
    return l;
}

/* In the corner at the top right, which falling curves leave free. */
static void draw_legend(const panel *b)
{
    const legend l = legend_of(b->p);
    FILE *f = b->p->f;
    int columns = 0;
    for (int i = 0; i < l.n; i++) {
        const int width = unicode_columns(l.entry[i].text);
        if (width > columns) columns = width;
    }
    const double width = columns * LETTER + 52, left = b->left + b->width - width - 6, top = b->top + 4;
    svg_put(
        f,
        "<rect x='%g' y='%g' width='%g' height='%g' rx='3' fill='#fff' fill-opacity='0.85' stroke='#ddd'/>\n",
        left, top, width, 20.0 * l.n + 8);
    for (int i = 0; i < l.n; i++) {
        const double y = top + 14 + 20 * i;
        if (l.entry[i].sample)
            svg_put(f, "<path stroke='%s' stroke-width='2' d='M%g %gh26'/>", l.entry[i].colour, left + 10, y);
        if (l.entry[i].sample == SAMPLE_MARKED)
            svg_put(f, "<circle cx='%g' cy='%g' r='3' fill='#fff' stroke='%s' stroke-width='1.5'/>",
                    left + 23, y, l.entry[i].colour);
        svg_put(f, "<text x='%g' y='%g'>%s</text>\n", left + 44, y + 4, l.entry[i].text);
    }
}

/* ---- the whole ---- */

/* What the axis of the losses is called. */
static const char *loss_title(const picture *p)
{
    for (int k = 1; k < p->runs; k++)
        if (strcmp(p->run[k].loss, p->run[0].loss) != 0) return "loss (the unit is not the same in all runs)";
    return p->run[0].loss;
}

static bool draw_losses(const picture *p, curves_scale scale)
{
    range r = range_of(p, METRICS_TRAIN_LOSS);
    bool good = true;
    widen(&r, p, METRICS_VALID_LOSS);
    const panel b = place(p, LEFT, 76, RIGHT - LEFT, 340, fit(r, scale, 7));
    draw_frame(&b, loss_title(p));
    for (int k = 0; k < p->runs; k++) {
        const metrics_table *m = &p->run[k].metrics;
        good = draw_noisy(&b, m, m->column[METRICS_TRAIN_LOSS], colours[k], p->runs == 1) && good;
    }
    for (int k = 0; k < p->runs; k++) draw_validation(&b, &p->run[k].metrics, colours[p->runs > 1 ? k : 1]);
    if (is_empty(r)) draw_absence(&b, "no losses");
    draw_legend(&b);
    return good;
}

static bool draw_small(const picture *p, double left, int column, const char *title, curves_scale scale)
{
    bool good = true;
    const range r = range_of(p, column);
    const panel b = place(p, left, 498, SMALL, 160, fit(r, scale, 4));
    draw_frame(&b, title);
    for (int k = 0; k < p->runs; k++) {
        const metrics_table *m = &p->run[k].metrics;
        char style[64];
        snprintf(style, sizeof style, "stroke='%s' stroke-width='1.5'", colours[k]);
        if (column == METRICS_LR && m->rows > FEW_ROWS)
            draw_line(&b, m, m->column[column], style);
        else
            good = draw_noisy(&b, m, m->column[column], colours[k], false) && good;
    }
    if (is_empty(r)) draw_absence(&b, "no values");
    return good;
}

/* "2,628 steps, 6 epochs, 0:01:37": where the run stood in its last row. */
static void put_summary(const picture *p)
{
    static const struct {
        int column;
        const char *unit;
    } parts[] = { { METRICS_STEP, "step" }, { METRICS_EPOCH, "epoch" } };
    const metrics_table *m = &p->run[0].metrics;
    const char *between = "";
    svg_put(p->f, "<text x='92' y='56' fill='#555'>");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char number[AXIS_LABEL];
        const double x = m->column[parts[i].column][m->rows - 1];
        if (!isfinite(x)) continue;
        axis_number(x, 1, number);
        svg_put(p->f, "%s%s %s%s", between, number, parts[i].unit, x == 1 ? "" : "s");
        between = ", ";
    }
    const double seconds = m->column[METRICS_SECONDS][m->rows - 1];
    if (seconds >= 0 && seconds < 1e15) {
        const long long s = llround(seconds);
        fprintf(p->f, "%s%lld:%02lld:%02lld", between, s / 3600, s / 60 % 60, s % 60);
    }
    svg_put(p->f, "</text>\n");
}

bool curves_draw(FILE *f, int runs, const curves_run run[], curves_scale scale)
{
    const picture p = { f, runs, run };
    char title[256] = "Learning curves", name[200];
    shorten(run[0].name, name, sizeof name);
    if (runs == 1) snprintf(title, sizeof title, "Learning curves of %s", name);
    svg_begin(f, WIDTH, HEIGHT, title);
    svg_put(f, "<text x='92' y='36' font-size='18' font-weight='bold'>%s</text>\n", title);
    if (runs == 1) put_summary(&p);
    bool good = draw_losses(&p, scale);
    good = draw_small(&p, LEFT, METRICS_LR, "learning rate", CURVES_LINEAR) && good;
    good = draw_small(&p, RIGHT - SMALL, METRICS_GRAD_NORM, "gradient norm", CURVES_AUTO) && good;
    svg_end(f);
    return good;
}
