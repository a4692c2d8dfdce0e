/* The files that show what a model attended to: known weights in, and back out of each of the three formats. */
#include "file_fixture.h"

#include <tidegate/tidegate.h>

#include <math.h>
#include <signal.h>
#include <sys/resource.h>

#include "attention_file.h"

static const char *const source[] = { "the", "<b>&\"bold\"", "\xE6\x97\xA5\xE6\x9C\xAC", " " };
static const char *const target[] = { "le", "\xC3\xA9t\xC3\xA9", "</s>" };
static const float weights[3 * 4] = { 0.5f, 0.25f, 0.25f, 0, 0, 1, 0, 0, 0.125f, 0.125f, 0.125f, 0.625f };
static const attention_sentence empty = { 9, "", "", 0, 0, NULL, NULL, NULL };

/* As line `line` of the input. */
static attention_sentence at_line(long long line)
{
    return (attention_sentence){ line,   "the <b>&\"bold\"", "le \xC3\xA9t\xC3\xA9", 4, 3, source, target,
                                 weights };
}

static bool add(attention_file *f, long long line)
{
    const attention_sentence s = at_line(line);
    return attention_file_add(f, &s);
}

static void fresh(void)
{
    folder_make();
    ck_assert_ptr_nonnull(freopen(in_folder("said"), "w", stderr)); /* each test is a process of its own */
}

/* A file as text, until the next look at one; "" if there is none. */
static const char *text_of(const char *name)
{
    static bytes b;
    free(b.data);
    b = bytes_of(in_folder(name));
    if (!b.data) return "";
    b.data[b.n] = 0;
    return (const char *)b.data;
}

/* What was said on stderr up to now. */
static const char *said(void)
{
    fflush(stderr);
    return text_of("said");
}

static void write_file(const char *name, int copies)
{
    attention_file *f = attention_file_open(in_folder(name));
    ck_assert_msg(f != NULL, "%s", said());
    for (int i = 0; i < copies; i++) ck_assert(add(f, 2 * i + 1)); /* every other line was empty */
    ck_assert(attention_file_add(f, &empty));
    ck_assert_msg(attention_file_close(f), "%s", said());
    char where[300];
    snprintf(where, sizeof where, "The attention of %d sentences is in %s.\n", copies + 1, in_folder(name));
    ck_assert_msg(strstr(said(), where) != NULL, "%s", said());
}

/* How often part stands in text. */
static int count(const char *text, const char *part)
{
    int n = 0;
    for (; (text = strstr(text, part)); text += strlen(part)) n++;
    return n;
}

START_TEST(tables_are_aligned)
{
    write_file("a.txt", 1);
    ck_assert_str_eq(text_of("a.txt"), "sentence 1\n\n"
                                       "       the  <b>&\"bold\"  \xE6\x97\xA5\xE6\x9C\xAC     ·\n"
                                       "le    0.50        0.25  0.25  0.00\n"
                                       "\xC3\xA9t\xC3\xA9   0.00        1.00  0.00  0.00\n"
                                       "</s>  0.13        0.13  0.13  0.63\n"
                                       "\nsentence 9\n\n    \n");
    ck_assert_int_eq(folder_count(), 2);
}
END_TEST

/* Well-formed, says the one parser of XML that tests may rely on. */
static bool is_xml(const char *name)
{
    char command[512];
    snprintf(command, sizeof command,
             "python3 -c 'import sys, xml.parsers.expat as x; x.ParserCreate().ParseFile(open(sys.argv[1], "
             "\"rb\"))' %s",
             in_folder(name));
    return system(command) == 0;
}

START_TEST(picture_has_every_weight)
{
    write_file("a.svg", 1);
    const char *svg = text_of("a.svg");
    ck_assert(is_xml("a.svg"));
    ck_assert_int_eq(count(svg, " %</title>"), 12);
    ck_assert_ptr_nonnull(
        strstr(svg, "<rect x='0' y='0' width='24' height='24' fill='#6baed6'><title>the → le: 50 %</title>"));
    ck_assert_ptr_nonnull(strstr(
        svg, "<rect x='24' y='24' width='24' height='24' "
             "fill='#08306b'><title>&lt;b&gt;&amp;&quot;bold&quot; → \xC3\xA9t\xC3\xA9: 100 %</title>"));
    ck_assert_ptr_nonnull(strstr(svg, "fill='#ffffff'><title>· → le: 0 %</title>"));
    ck_assert_ptr_nonnull(strstr(
        svg,
        "<rect x='0' y='48' width='24' height='24' fill='#e3edf7'><title>the → &lt;/s&gt;: 12.5 %</title>"));
    ck_assert(strstr(svg, ">1</text>") && strstr(svg, ">9</text>") && strstr(svg, ">nothing</text>"));
    ck_assert_int_eq(folder_count(), 2);
}
END_TEST

/* How far the sentences are from the left of the page, and from its top. */
START_TEST(sentences_stand_side_by_side)
{
    write_file("a.svg", 9);
    int beside = 0, below = 0;
    double x, y, last_x = 0, last_y = 0;
    for (const char *at = text_of("a.svg"); (at = strstr(at, "<g transform='translate(")); at++) {
        ck_assert_int_eq(sscanf(at, "<g transform='translate(%lf %lf)'>", &x, &y), 2);
        ck_assert(y > last_y || (y == last_y && x > last_x));
        beside += y == last_y, below += y > last_y;
        last_x = x, last_y = y;
    }
    ck_assert_msg(beside == 7 && below == 3, "%d beside, %d below", beside, below);
}
END_TEST

START_TEST(heading_has_the_line_and_both_texts)
{
    static const char *const tokens[] = { "\xEF\xBF\xAD,", "x\xEF\xBF\xAE"
                                                           "0" };
    char words[600] = "";
    for (int i = 0; i < 99; i++) strcat(words, "word ");
    attention_file *f = attention_file_open(in_folder("a.svg"));
    attention_sentence s = { 70, "so long, \xE2\x80\xAE<b>", words, 2, 2, tokens, tokens, weights };
    ck_assert(attention_file_add(f, &s) && attention_file_close(f));
    const char *svg = text_of("a.svg");
    ck_assert(strstr(svg, ">70</text>") && strstr(svg, ">so long, \\u202e&lt;b&gt;</text>"));
    ck_assert(strstr(svg, ">→ word word") && strstr(svg, "word …</text>"));
    ck_assert_int_eq(count(svg, ">word word "), 3); /* four lines of it, and an ellipsis */
    ck_assert(strstr(svg, ">▪,</text>") && strstr(svg, ">x○0</text>")); /* in place of what fonts lack */
    ck_assert(!strstr(svg, "\xEF\xBF\xAD") && !strstr(svg, "\xEF\xBF\xAE"));
}
END_TEST

START_TEST(strange_numbers_and_tokens_are_drawn)
{
    static const char *const strange[] = { "\x01\xFF", "x" };
    static const float numbers[] = { NAN, INFINITY, -1, 2e30f };
    const attention_sentence s = { 1, "\xFF\x1b", "\x01", 2, 2, strange, strange, numbers };
    static const char *const names[] = { "a.svg", "a.txt", "a.h5" };
    for (int i = 0; i < 3; i++) {
        attention_file *f = attention_file_open(in_folder(names[i]));
        ck_assert(f && attention_file_add(f, &s) && attention_file_close(f));
    }
    ck_assert(is_xml("a.svg"));
    ck_assert_int_eq(count(text_of("a.svg"), "fill='#d22'><title>"), 2);
    ck_assert_int_eq(count(text_of("a.svg"), "not a number"), 2);
    ck_assert_int_eq(count(text_of("a.txt"), " nan"), 2);
}
END_TEST

START_TEST(hdf5_has_what_was_put)
{
    tg_context *cx = tg_context_new(NULL);
    tg_archive *a;
    float w[12];
    const char *const *text;
    int n;
    int64_t sentences;
    write_file("a.h5", 2);
    ck_assert_int_eq(tg_checkpoint_read(cx, in_folder("a.h5"), &a), TG_OK);
    ck_assert_int_eq(tg_archive_get_array(a, "attention/00003/weights", TG_FLOAT32, 2, (int[]){ 3, 4 }, w),
                     TG_OK);
    ck_assert_mem_eq(w, weights, sizeof w);
    ck_assert_int_eq(tg_archive_get_texts(a, "attention/00003/source", &n, &text), TG_OK);
    ck_assert_int_eq(n, 4);
    for (int i = 0; i < 4; i++) ck_assert_str_eq(text[i], source[i]);
    ck_assert_int_eq(tg_archive_get_texts(a, "attention/00003/target", &n, &text), TG_OK);
    ck_assert_int_eq(n, 3);
    ck_assert_int_eq(tg_archive_get_texts(a, "attention/00009/target", &n, &text), TG_OK);
    ck_assert_int_eq(n, 0);
    ck_assert(!tg_archive_has(a, "attention/00002/weights")); /* an empty line */
    ck_assert_int_eq(tg_archive_get_integer(a, "attention/sentences", &sentences), TG_OK);
    ck_assert_int_eq(sentences, 3);
    tg_archive_free(a);
    tg_context_free(cx);

    char command[512];
    snprintf(command, sizeof command, "h5dump -d /attention/00001/weights %s > %s", in_folder("a.h5"),
             in_folder("dump"));
    ck_assert_int_eq(system(command), 0);
    ck_assert_ptr_nonnull(strstr(text_of("dump"), "(2,0): 0.125, 0.125, 0.125, 0.625"));
}
END_TEST

START_TEST(ending_names_the_format)
{
    ck_assert(attention_file_named("a.svg") && attention_file_named("x/y.txt") &&
              attention_file_named("b.h5"));
    ck_assert(!attention_file_named("a.png") && !attention_file_named(".svg") &&
              !attention_file_named("svg"));
    ck_assert(!attention_file_named("") && !attention_file_named("a.svg.gz"));
    ck_assert_ptr_null(attention_file_open(in_folder("a.png")));
    ck_assert_ptr_nonnull(strstr(said(), "a.png: does not end in .svg, .txt or .h5"));
}
END_TEST

START_TEST(picture_leaves_out_what_is_too_much)
{
    enum { WIDE = 40000 };
    const char **many = malloc(WIDE * sizeof *many);
    float *all = calloc(WIDE, sizeof *all);
    for (int i = 0; i < WIDE; i++) many[i] = "x";
    attention_file *f = attention_file_open(in_folder("a.svg"));
    attention_sentence wide = { 0, "", "", WIDE / 2, 2, many, many, all };
    for (int i = 0; i < 3; i++, wide.line += 4)
        ck_assert(attention_file_add(f, &wide)); /* the third is too much */
    for (int i = 0; i < 100; i++) ck_assert(add(f, 100 + i));
    ck_assert(attention_file_close(f));
    ck_assert_ptr_nonnull(strstr(said(), "warning: "));
    ck_assert_ptr_nonnull(strstr(said(), "a.svg: 4 of 103 sentences are left out (the first is line 8)"));
    ck_assert(is_xml("a.svg"));
    ck_assert(strstr(text_of("a.svg"), ">196</text>") && !strstr(text_of("a.svg"), ">197</text>"));
    free(many);
    free(all);
}
END_TEST

/* Given up or failed: the file that was there is as it was, and there is no other. */
START_TEST(nothing_is_left_behind)
{
    static const char *const names[] = { "a.svg", "a.txt" };
    for (int i = 0; i < 2; i++) {
        folder_empty(false);
        bytes_to(in_folder(names[i]), "before", 6);
        attention_file *f = attention_file_open(in_folder(names[i]));
        ck_assert(f && add(f, 1));
        attention_file_abandon(f);
        ck_assert_str_eq(text_of(names[i]), "before");
        ck_assert_int_eq(folder_count(), 1);
    }
    attention_file_abandon(NULL);
    ck_assert_ptr_null(attention_file_open(in_folder("nowhere/a.svg")));
    ck_assert_ptr_null(attention_file_open(in_folder("nowhere/a.h5")));
    ck_assert_int_eq(mkdir(in_folder("d.txt"), 0777), 0);
    ck_assert_ptr_null(attention_file_open(in_folder("d.txt")));
}
END_TEST

START_TEST(full_disk_is_told)
{
    static const char *const names[] = { "a.svg", "a.txt", "a.h5" };
    for (int i = 0; i < 3; i++) {
        folder_empty(false);
        ck_assert_ptr_nonnull(freopen(in_folder("said"), "w", stderr));
        attention_file *f = attention_file_open(in_folder(names[i]));
        const struct rlimit small = { 1000, RLIM_INFINITY }, large = { RLIM_INFINITY, RLIM_INFINITY };
        ck_assert_ptr_nonnull(f);
        for (int k = 1; k <= 50; k++) ck_assert(add(f, k));
        signal(SIGXFSZ, SIG_IGN);
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
        const bool good = attention_file_close(f);
        setrlimit(RLIMIT_FSIZE, &large);
        ck_assert(!good);
        ck_assert_msg(strstr(said(), "File too large") && count(said(), "\n") == 1, "%s: %s", names[i],
                      said());
        ck_assert_msg(folder_count() == 1, "%s: %d files", names[i], folder_count());
    }
}
END_TEST

START_TEST(model_is_not_written_over)
{
    tg_context *cx = tg_context_new(NULL);
    tg_archive *a = tg_archive_new(cx);
    tg_archive_put_integer(a, "model/hidden", 3);
    ck_assert_int_eq(
        tg_checkpoint_save(in_folder("best.h5"), &(tg_checkpoint){ .task = "translate", .also = a }), TG_OK);
    tg_archive_free(a);
    tg_context_free(cx);
    const bytes before = bytes_of(in_folder("best.h5"));
    ck_assert_ptr_null(attention_file_open(in_folder("best.h5")));
    ck_assert_ptr_nonnull(strstr(said(), "best.h5: is there, and holds something else: it is not replaced"));
    const bytes after = bytes_of(in_folder("best.h5"));
    ck_assert(same_bytes(before, after));
    free(before.data);
    free(after.data);
    write_file("a.h5", 2);
    write_file("a.h5", 1); /* attention may be */
}
END_TEST

TG_TEST_MAIN_FIXTURE("tools/attention", fresh, folder_remove, tables_are_aligned, picture_has_every_weight,
                     sentences_stand_side_by_side, heading_has_the_line_and_both_texts,
                     strange_numbers_and_tokens_are_drawn, hdf5_has_what_was_put, ending_names_the_format,
                     picture_leaves_out_what_is_too_much, nothing_is_left_behind, full_disk_is_told,
                     model_is_not_written_over)
