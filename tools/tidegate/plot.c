/* tools/tidegate/plot.c -- tidegate plot: the learning curves of runs as a picture. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "curves.h"
#include "options.h"
#include "output_file.h"
#include "program.h"
#include "unicode.h"

typedef struct settings {
    const char *out;
    int scale;
} settings;

static const option options[] = {
    { "out", OPTION_TEXT, offsetof(settings, out), NULL, 0, 0, "FILE",
      "the picture, *.svg; without it DIR/curves.svg" },
    { "scale", OPTION_CHOICE, offsetof(settings, scale), "auto", 0, 0, "auto|linear|log",
      "of the losses; auto: log where they span more\nthan a factor of 20" },
    { NULL },
};

static const command plot_command = {
    "plot",
    "DIR [DIR ...] [options]",
    "Draws the learning curves of the run in DIR from its metrics.csv, as SVG: training and\n"
    "validation loss, learning rate, gradient norm. Up to 6 runs are drawn together to\n"
    "compare them; then --out says where. The run may be still going on.",
    options,
    1,
    CURVES_MOST_RUNS,
    "  tidegate plot run\n"
    "  tidegate plot run run2 --out both.svg --scale log\n",
};

/* "<directory>/<file>"; false: too long, which was said. */
static bool path_in(char path[PATH_MAX], const char *directory, const char *file)
{
    const int length = snprintf(path, PATH_MAX, "%s/%s", directory, file);
    return (length >= 0 && length < PATH_MAX) || (fail("%.100s: the name is too long", directory), false);
}

/* The checkpoint says what the loss is a mean over, and its task what it counts: that of a translator, a cross entropy, is
 * in nats. */
static void name_loss(curves_run *r)
{
    static const char *const files[] = { "last.h5", "last.h5.1", "best.h5" };
    tg_context *cx = new_context(0, 1);
    tg_archive *a = NULL;
    const char *task = "", *unit = "";
    char path[PATH_MAX], shown[40];
    for (size_t i = 0; i < sizeof files / sizeof *files && !a; i++)
        if (path_in(path, r->name, files[i]) && tg_checkpoint_read(cx, path, &a)) a = NULL;
    snprintf(r->loss, sizeof r->loss, "loss");
    if (a && tg_archive_get_text(a, "task", &task) == TG_OK && strcmp(task, "translate") == 0)
        snprintf(r->loss, sizeof r->loss, "loss (nats per token)");
    else if (a && tg_archive_has(a, "run/unit") && tg_archive_get_text(a, "run/unit", &unit) == TG_OK) {
        unicode_elide(unit, 24, shown, sizeof shown);
        snprintf(r->loss, sizeof r->loss, "loss (mean over %s)", shown);
    }
    tg_archive_free(a);
    tg_context_free(cx);
}

static bool read_run(curves_run *r, const char *directory)
{
    char path[PATH_MAX];
    const metrics_table *m = &r->metrics;
    size_t n = strlen(directory);
    while (n > 1 && directory[n - 1] == '/') n--;
    snprintf(r->name, sizeof r->name, "%.*s", n < PATH_MAX ? (int)n : PATH_MAX, directory);
    if (!path_in(path, r->name, "metrics.csv") || !metrics_table_read(&r->metrics, path)) return false;
    name_loss(r);
    if (m->cut_off) warn("%s: line %d is cut off: it is left out", path, m->cut_off);
    if (m->not_finite)
        warn("%s: %d values are not finite: they are left out (the first in line %d)", path, m->not_finite,
             m->first_not_finite);
    return true;
}

static int draw(int runs, const curves_run run[], const settings *given)
{
    char standard[PATH_MAX];
    output_file out;
    if (!path_in(standard, run[0].name, "curves.svg")) return EXIT_FAILED;
    if (!output_file_open(&out, given->out ? given->out : standard)) return EXIT_FAILED;
    const bool drawn = curves_draw(out.f, runs, run, (curves_scale)given->scale);
    if (!drawn) fail("%s: out of memory", out.name);
    if (!output_file_close(&out, drawn) || !drawn) return EXIT_FAILED;
    tell("The picture is %s.", out.name);
    return EXIT_DONE;
}

static bool ends_in(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

int command_plot(int argc, char *argv[])
{
    settings given = { 0 };
    const char *directory[CURVES_MOST_RUNS + 1];
    const parsed p = options_parse(&plot_command, argc, argv, &given, directory);
    if (p != PARSED) return options_exit(p);
    if (given.out && !ends_in(given.out, ".svg"))
        return usage_error("plot", "--out takes a name that ends in .svg, not '%s'", given.out);
    if (directory[1] && !given.out)
        return usage_error("plot", "--out FILE is missing: of several runs, none is the one to put it in");

    static curves_run run[CURVES_MOST_RUNS]; /* each has a path: large for the stack */
    int runs = 0, result = EXIT_DONE;
    while (!result && directory[runs]) {
        result = read_run(&run[runs], directory[runs]) ? EXIT_DONE : EXIT_FAILED;
        runs++;
    }
    if (!result) result = draw(runs, run, &given);
    for (int k = 0; k < runs; k++) metrics_table_free(&run[k].metrics);
    return result;
}
