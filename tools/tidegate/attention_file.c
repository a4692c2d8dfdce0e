/* tools/tidegate/attention_file.c -- see attention_file.h. A format is a row of a table. */
#include "attention_file.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attention_picture.h"
#include "output_file.h"
#include "program.h"
#include "svg.h"
#include "unicode.h"

typedef struct format {
    const char *ending, *what;
    long long most_sentences, most_cells; /* 0: no limit */
    bool (*open)(attention_file *f);
    bool (*add)(attention_file *f, const attention_sentence *s);
    bool (*finish)(attention_file *f); /* puts it in place */
} format;

enum { MOST_PICTURES = 100, PAGE_WIDTH = 1800 /* pixels; a wider sentence has a page as wide as it is */ };

typedef struct picture { /* one sentence, drawn */
    char *svg;
    size_t bytes;
    picture_size size;
} picture;

struct attention_file {
    const format *format;
    const char *name;
    long long sentences, cells, left_out, first_left_out; /* the latter: its line */
    bool lost;

    output_file out; /* .svg, .txt */

    picture picture[MOST_PICTURES]; /* .svg: kept until it is known how large the page must be */
    int pictures;

    tg_context *cx; /* .h5 */
    tg_archive *archive;
};

/* ---- .svg ---- */

static bool svg_open(attention_file *f) { return output_file_open(&f->out, f->name); }

static bool svg_add(attention_file *f, const attention_sentence *s)
{
    picture *p = &f->picture[f->pictures++];
    FILE *to = open_memstream(&p->svg, &p->bytes);
    if (!to) return fail("%s: %s", f->name, strerror(errno)), false;
    p->size = attention_picture_draw(to, s);
    const bool well = !ferror(to);
    return (!fclose(to) && well) || (fail("%s: out of memory", f->name), false);
}

/* Where the k-th picture is put: like words in a paragraph, in rows as high as their highest. */
typedef struct place {
    double x, y, row; /* row: its height so far */
} place;

static place next_place(place at, picture_size before, picture_size size)
{
    at.row = fmax(at.row, before.height);
    at.x += before.width;
    if (at.x > 0 && at.x + size.width > PAGE_WIDTH) at = (place){ 0, at.y + at.row, 0 };
    return at;
}

static bool svg_finish(attention_file *f)
{
    char *head = NULL;
    size_t head_bytes = 0;
    FILE *to = open_memstream(&head, &head_bytes);
    if (!to) return fail("%s: %s", f->name, strerror(errno)), false;
    picture_size page = attention_picture_head(to), before = { 0, 0 };
    place at[MOST_PICTURES + 1] = { { 0, page.height, 0 } };
    for (int k = 0; k < f->pictures; k++) {
        const picture_size size = f->picture[k].size;
        at[k] = next_place(k ? at[k - 1] : at[0], before, size);
        page.width = fmax(page.width, at[k].x + size.width);
        page.height = fmax(page.height, at[k].y + size.height);
        before = size;
    }
    if (fclose(to)) return free(head), fail("%s: out of memory", f->name), false;
    svg_begin(f->out.f, page.width, page.height, "Attention");
    fwrite(head, 1, head_bytes, f->out.f);
    for (int k = 0; k < f->pictures; k++) {
        svg_put(f->out.f, "<g transform='translate(%g %g)'>\n", at[k].x, at[k].y);
        fwrite(f->picture[k].svg, 1, f->picture[k].bytes, f->out.f);
        svg_put(f->out.f, "</g>\n");
    }
    svg_end(f->out.f);
    free(head);
    return output_file_close(&f->out, true);
}

/* ---- .txt ---- */

enum { LONGEST_TOKEN = 24, NARROWEST = 4 /* "0.81" */ };

/* The label in `columns` columns, at their right or left end. */
static void put_label(FILE *f, const char *token, int columns, bool right)
{
    char label[ATTENTION_LABEL];
    attention_label(token, LONGEST_TOKEN, label);
    const int space = columns - unicode_columns(label);
    fprintf(f, "%*s%s%*s", right && space > 0 ? space : 0, "", label, !right && space > 0 ? space : 0, "");
}

static int label_columns(const char *token)
{
    char label[ATTENTION_LABEL];
    attention_label(token, LONGEST_TOKEN, label);
    const int columns = unicode_columns(label);
    return columns > NARROWEST ? columns : NARROWEST;
}

static bool txt_open(attention_file *f) { return output_file_open(&f->out, f->name); }

/* By whole numbers, which no locale changes. */
static void put_weight(FILE *f, double weight, int columns)
{
    char text[32] = "nan";
    if (isfinite(weight)) {
        const int hundredths = (int)lround(100 * fmin(fmax(weight, 0), 1e6));
        snprintf(text, sizeof text, "%d.%02d", hundredths / 100, hundredths % 100);
    }
    fprintf(f, "  %*s", columns, text);
}

static bool txt_add(attention_file *f, const attention_sentence *s)
{
    FILE *to = f->out.f;
    int side = NARROWEST;
    for (int t = 0; t < s->T; t++)
        if (label_columns(s->target[t]) > side) side = label_columns(s->target[t]);
    fprintf(to, "%ssentence %lld\n\n%*s", f->sentences > 1 ? "\n" : "", s->line, side, "");
    for (int i = 0; i < s->S; i++) {
        fputs("  ", to);
        put_label(to, s->source[i], label_columns(s->source[i]), true);
    }
    fputc('\n', to);
    for (int t = 0; t < s->T; t++) {
        put_label(to, s->target[t], side, false);
        for (int i = 0; i < s->S; i++)
            put_weight(to, (double)s->weights[(size_t)t * (size_t)s->S + (size_t)i],
                       label_columns(s->source[i]));
        fputc('\n', to);
    }
    return true; /* a stream remembers its errors: the close finds them */
}

static bool txt_finish(attention_file *f) { return output_file_close(&f->out, true); }

/* ---- .h5: a sealed file like a checkpoint, whose task is "attention" ---- */

static const char task[] = "attention";

/* A model is worth too much to be written over by mistake. */
static bool may_replace(attention_file *f)
{
    tg_archive *a;
    const char *is = "";
    if (access(f->name, F_OK) && errno == ENOENT) return true;
    const bool ours = tg_checkpoint_read(f->cx, f->name, &a) == TG_OK &&
                      tg_archive_get_text(a, "task", &is) == TG_OK && strcmp(is, task) == 0;
    tg_archive_free(a);
    return ours || (fail("%s: is there, and holds something else: it is not replaced", f->name), false);
}

static bool h5_open(attention_file *f)
{
    f->cx = new_context(0, 1);
    if (!tg_context_ok(f->cx)) return fail_context(f->cx), false;
    if (!may_replace(f)) return false;
    /* can it be written? better now than when all is done */
    output_file probe;
    if (!output_file_open(&probe, f->name)) return false;
    output_file_close(&probe, false);
    f->archive = tg_archive_new(f->cx);
    return f->archive || (fail_context(f->cx), false);
}

static bool h5_add(attention_file *f, const attention_sentence *s)
{
    char path[64];
    const char *const part[] = { "weights", "source", "target" };
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "attention/%05lld/%s", s->line, part[i]);
        if (i == 0)
            tg_archive_put_array(f->archive, path, TG_FLOAT32, 2, (const int[]){ s->T, s->S }, s->weights);
        else
            tg_archive_put_texts(f->archive, path, i == 1 ? s->S : s->T, i == 1 ? s->source : s->target);
    }
    return tg_archive_status(f->archive) == TG_OK || (fail_context(f->cx), false);
}

static bool h5_finish(attention_file *f)
{
    const tg_checkpoint c = { .task = task, .also = f->archive };
    tg_archive_put_integer(f->archive, "attention/sentences", f->sentences - f->left_out);
    return tg_checkpoint_save(f->name, &c) == TG_OK || (fail_context(f->cx), false);
}

/* ---- all of them ---- */

static const format formats[] = {
    { ".svg", "picture", MOST_PICTURES, 100000, svg_open, svg_add, svg_finish },
    { ".txt", "text", 0, 0, txt_open, txt_add, txt_finish },
    { ".h5", "file", 10000, 50000000, h5_open, h5_add, h5_finish },
};

static const format *format_of(const char *name)
{
    for (size_t k = 0; k < sizeof formats / sizeof *formats; k++) {
        const size_t n = strlen(name), m = strlen(formats[k].ending);
        if (n > m && strcmp(name + n - m, formats[k].ending) == 0) return &formats[k];
    }
    return NULL;
}

bool attention_file_named(const char *name) { return format_of(name) != NULL; }

attention_file *attention_file_open(const char *name)
{
    const format *k = format_of(name);
    if (!k) return fail("%s: does not end in " ATTENTION_ENDINGS, name), NULL;
    attention_file *f = calloc(1, sizeof *f);
    if (!f) return fail("%s: out of memory", name), NULL;
    f->format = k;
    f->name = name;
    if (k->open(f)) return f;
    attention_file_abandon(f);
    return NULL;
}

bool attention_file_add(attention_file *f, const attention_sentence *s)
{
    const format *k = f->format;
    const long long cells = (long long)s->T * s->S;
    if (f->lost) return false;
    f->sentences++;
    if ((k->most_sentences && f->sentences > k->most_sentences) ||
        (k->most_cells && f->cells + cells > k->most_cells)) {
        if (!f->left_out++) f->first_left_out = s->line;
        return true;
    }
    f->cells += cells;
    f->lost = !k->add(f, s);
    return !f->lost;
}

bool attention_file_close(attention_file *f)
{
    const format *k = f->format;
    const bool good = !f->lost && k->finish(f);
    const long long kept = f->sentences - f->left_out;
    if (good && f->left_out)
        warn("%s: %lld of %lld sentences are left out (the first is line %lld): a %s holds %lld, with %lld "
             "weights "
             "together",
             f->name, f->left_out, f->sentences, f->first_left_out, k->what, k->most_sentences,
             k->most_cells);
    if (good) tell("The attention of %lld sentence%s is in %s.", kept, kept == 1 ? "" : "s", f->name);
    attention_file_abandon(f);
    return good;
}

void attention_file_abandon(attention_file *f)
{
    if (!f) return;
    if (f->out.f) output_file_close(&f->out, false);
    for (int k = 0; k < f->pictures; k++) free(f->picture[k].svg);
    tg_archive_free(f->archive);
    tg_context_free(f->cx);
    free(f);
}
