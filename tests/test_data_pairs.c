/* Parallel text: what is read, what is refused, and where. */
#include "check_main.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tidegate/tidegate.h>
#include <xxhash.h>

#include "data/data.h"

/* ---- from memory ---- */

static tg_status parse(tg_context *cx, const char *bytes, size_t n, const tg_pairs_config *config,
                       tg_pairs **pairs, tg_pairs_info *info)
{
    char *text = tg__allocate(cx, n + 1);
    memcpy(text, bytes, n);
    return tg__pairs_parse(cx, "t.tsv", text, n, config, pairs, info);
}

static const tg_pairs_config words = { 0 };

static const tg_tokenizer *characters(tg_context *cx)
{
    return tg_tokenizer_new(cx, &(tg_tokenizer_config){ .kind = TG_CHARACTERS });
}

typedef struct parsed_case {
    const char *bytes;
    size_t n;
    const char *pairs; /* "source>target|..." */
} parsed_case;
#define BYTES(text) text, sizeof(text) - 1
#define MARK        "\xEF\xBB\xBF" /* the byte order mark */

static const parsed_case good[] = {
    { BYTES("a\tb\n"), "a>b|" },
    { BYTES("a\tb"), "a>b|" }, /* no final newline */
    { BYTES("a\tb\r\nc\td\r\n"), "a>b|c>d|" },
    { BYTES("a\tb\r\nc\td\r"), "a>b|c>d|" },
    { BYTES("\xEF\xBB\xBF"
            "a\tb\n"),
      "a>b|" },                                          /* byte order mark */
    { BYTES("a\xEF\xBB\xBF\tb\n"), "a\xEF\xBB\xBF>b|" }, /* not at the start: text */
    { BYTES(MARK "a\t" MARK "b\n"), "a>b|" },            /* two files side by side, */
    { BYTES("a\tb\n" MARK "c\td\n" MARK "\n" MARK " " MARK "e\t f\n"), "a>b|c>d|e>f|" }, /* in a row */
    { BYTES("  a  b \t \v b\f\n"), "a  b>b|" },
    { BYTES("\n \n\r\n \f\na\tb\n\n"), "a>b|" },
    { BYTES("a\tb\tc\td\n"), "a>b|" },
    { BYTES("a\tb\t\n"), "a>b|" },
    { BYTES("a\tb\r\r\nc\td\n\r\r\n"), "a>b|c>d|" }, /* LF became CR LF twice */
    { BYTES("\x01\tb\x1B[0m\x7F\n"), "\x01>b\x1B[0m\x7F|" },
    { BYTES("\xC2\xA0x\t\xE3\x80\x80y\n"),
      "\xC2\xA0x>\xE3\x80\x80y|" },                                  /* only ASCII white space is cut off */
    { BYTES("\xE2\x80\x8B\t\xC2\xAD\n"), "\xE2\x80\x8B>\xC2\xAD|" }, /* invisible, but no white space */
    { BYTES("\xC3\xA9t\xC3\xA9\t\xF0\x9F\x98\x80\n"), "\xC3\xA9t\xC3\xA9>\xF0\x9F\x98\x80|" },
    { BYTES("a\tb\na\tb\na\tc\n"), "a>b|a>b|a>c|" },
};

START_TEST(pairs_are_read_as_promised)
{
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        tg_context *cx = tg_context_new(NULL);
        tg_pairs *p = NULL;
        char got[200] = "";
        ck_assert_msg(!parse(cx, good[i].bytes, good[i].n, &words, &p, NULL), "case %zu: %s", i,
                      tg_context_message(cx));
        for (int k = 0; k < tg_pairs_count(p); k++)
            strcat(strcat(strcat(strcat(got, tg_pairs_source(p, k)), ">"), tg_pairs_target(p, k)), "|");
        ck_assert_str_eq(got, good[i].pairs);
        ck_assert_str_eq(tg_pairs_source(p, -1), "");
        ck_assert_str_eq(tg_pairs_target(p, tg_pairs_count(p)), "");
        tg_context_free(cx);
    }
}
END_TEST

static const parsed_case bad[] = {
    { BYTES("a\tb\nno tab\n"),
      "t.tsv: line 2, byte 7: the line ends without a tab between source and target" },
    { BYTES("a\tb\r\nno tab\r\n"), "t.tsv: line 2, byte 7: the line ends without a tab" },
    { BYTES("a b"), "t.tsv: line 1, byte 4: the line ends without a tab" },
    { BYTES("\n\n \t b\n"), "t.tsv: line 3, byte 1: nothing before the tab: the source is empty" },
    { BYTES("a\t\n"), "t.tsv: line 1, byte 3: nothing after the tab: the target is empty" },
    { BYTES("ab\t \r\n"), "t.tsv: line 1, byte 4: nothing after the tab" },
    { BYTES("a\t\tb\n"), "t.tsv: line 1, byte 3: nothing after the tab" },
    { BYTES("\t\n"), "t.tsv: line 1, byte 1: nothing before the tab" },
    { BYTES("a\tb\nc\t\xC3(\n"), "t.tsv: line 2, byte 3: not valid UTF-8 (byte 0xC3 0x28)" },
    { BYTES("caf\xE9\tcoffee\n"), "t.tsv: line 1, byte 4: not valid UTF-8 (byte 0xE9 0x09)" },
    { BYTES("a\tb\x80\n"), "t.tsv: line 1, byte 4: not valid UTF-8 (byte 0x80)" },
    { BYTES("a\t\xC0\x80\n"), "byte 3: not valid UTF-8 (byte 0xC0 0x80)" },
    { BYTES("a\t\xE0\x80\xAF\n"), "byte 3: not valid UTF-8 (byte 0xE0 0x80 0xAF)" },
    { BYTES("a\t\xED\xA0\x80\n"), "byte 3: not valid UTF-8 (byte 0xED 0xA0 0x80)" },
    { BYTES("a\t\xF4\x90\x80\x80\n"), "byte 3: not valid UTF-8 (byte 0xF4 0x90 0x80 0x80)" },
    { BYTES("a\tb\xE2\x82\n"),
      "byte 4: not valid UTF-8 (byte 0xE2 0x82)" }, /* cut short by the end of the line */
    { BYTES("a\tb\xE2\x82"), "byte 4: not valid UTF-8 (byte 0xE2 0x82)" }, /* and of the file */
    { BYTES("a\tb\tc\xFF\n"), "line 1, byte 6: not valid UTF-8" },         /* also where it is ignored */
    { BYTES("a\tb\n \xFF\n"), "line 2, byte 2: not valid UTF-8" },
    { BYTES("a\tb\nc\t\0d\n"), "t.tsv: line 2, byte 3: a NUL byte: this is not text" },
    { BYTES("a\tb\n\0"), "line 2, byte 1: a NUL byte" },
    { BYTES("\xEF\xBB\xBF"
            "a\xFF\n"),
      "line 1, byte 2: not valid UTF-8" }, /* the mark is not counted */
    { BYTES("\xFF\xFE"
            "a\0\t\0b\0\n\0"),
      "line 1, byte 1: not valid UTF-8 (byte 0xFF 0xFE); it looks like UTF-16" },
    { BYTES("a\tb\rc\td\r"),
      "t.tsv: line 1, byte 4: a carriage return (CR) inside a line: lines end in LF or CR LF" },
    { BYTES("a\tb\n\rc\td\n"), "t.tsv: line 2, byte 1: a carriage return" },
    { BYTES("a\tb\nc\r\td\n"), "t.tsv: line 2, byte 2: a carriage return" },
    { BYTES("a\tb\nc\t\xC2\xA0\n"), "t.tsv: line 2, byte 3: nothing after the tab: the target is empty" },
    { BYTES("\xE3\x80\x80 \xE2\x80\xA8\tb\n"),
      "line 1, byte 1: nothing before the tab: the source is empty" },
    { BYTES("a\t\xC2\x85\n"), "byte 3: nothing after the tab" },
    { BYTES("a\t " MARK "\xE2\x80\x83\n"), "byte 3: nothing after the tab" },
    { BYTES("\n \n\r\n\xC2\xA0\n"), "t.tsv: no pair in 4 lines: 4 blank" },
    { BYTES("\n \n\r\n"), "t.tsv: no pair in 3 lines: 3 blank, 0 longer than 100 tokens" },
    { BYTES(MARK), "t.tsv: no pair in 1 line: 1 blank" },
};

START_TEST(bad_bytes_are_refused_with_line_and_byte)
{
    tg_context *cx = tg_context_new(NULL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        tg_pairs *p = NULL;
        tg_pairs_info info = { .lines = -9 };
        ck_assert_msg(parse(cx, bad[i].bytes, bad[i].n, &words, &p, &info) == TG_ERR_DATA,
                      "case %zu was taken", i);
        ck_assert_msg(strstr(tg_context_message(cx), bad[i].pairs), "case %zu: '%s'", i,
                      tg_context_message(cx));
        ck_assert(!p && info.lines == -9 && tg_context_ok(cx)); /* nothing changes, nothing is poisoned */
    }
    tg_context_free(cx);
}
END_TEST

START_TEST(info_counts_what_was_seen)
{
    const char text[] = "\xEF\xBB\xBF"
                        "a\tb\n\na\tc\nx y z\tone\n one\tx y z\textra\n  \na \td\tmore\nb\tb";
    tg_context *cx = tg_context_new(NULL);
    tg_pairs *p;
    tg_pairs_info info;
    ck_assert(!parse(cx, text, sizeof text - 1, &(tg_pairs_config){ .max_length = 2 }, &p, &info));
    ck_assert_int_eq(info.lines, 8);
    ck_assert_int_eq(info.pairs, 4);
    ck_assert_int_eq(tg_pairs_count(p), 4);
    ck_assert_int_eq(info.blank, 2);
    ck_assert_int_eq(info.too_long, 2); /* on either side */
    ck_assert_int_eq(info.first_too_long, 4);
    ck_assert_int_eq(info.extra_columns, 2);
    ck_assert_int_eq(info.first_extra_column, 5);
    ck_assert_int_eq(info.repeated_sources, 2);
    ck_assert_int_eq(info.first_repeated, 3);
    ck_assert_int_eq(info.bytes, sizeof text - 1);
    ck_assert_uint_eq(info.digest, XXH64(text, sizeof text - 1, 0));
    ck_assert_str_eq(tg_pairs_source(p, 2), "a");
    ck_assert_str_eq(tg_pairs_target(p, 2), "d");
    tg_context_free(cx);
}
END_TEST

START_TEST(length_is_counted_by_the_tokenizer)
{
    tg_context *cx = tg_context_new(NULL);
    tg_pairs *p;
    tg_pairs_info info;
    const char text[] = "four words make this\tone\n\xC3\xA9\xC3\xA9\xC3\xA9\t\xC3\xA9 \xC3\xA9\n";
    ck_assert(!parse(cx, text, sizeof text - 1, &(tg_pairs_config){ .max_length = 3 }, &p, &info));
    ck_assert_int_eq(info.first_too_long, 1);
    ck_assert_str_eq(tg_pairs_source(p, 0), "\xC3\xA9\xC3\xA9\xC3\xA9");
    ck_assert(!parse(cx, text, sizeof text - 1, &(tg_pairs_config){ characters(cx), 3 }, &p, &info));
    ck_assert_int_eq(info.pairs, 1); /* white space inside counts, too: three characters */
    ck_assert_int_eq(info.first_too_long, 1);
    ck_assert(!parse(cx, text, sizeof text - 1, &(tg_pairs_config){ characters(cx), 20 }, &p, &info));
    ck_assert_int_eq(info.pairs, 2);
    ck_assert_int_eq(parse(cx, text, sizeof text - 1, &(tg_pairs_config){ characters(cx), 2 }, &p, &info),
                     TG_ERR_DATA);
    ck_assert(strstr(tg_context_message(cx), "no pair in 2 lines: 0 blank, 2 longer than 2 tokens"));
    tg_context_free(cx);
}
END_TEST

/* Writes n words, a tab and one word. */
static size_t write_words(char *to, int n)
{
    char *p = to;
    for (int i = 0; i < n; i++) p += sprintf(p, "w ");
    return (size_t)(p + sprintf(p, "\tx\n") - to);
}

START_TEST(length_is_a_hundred_by_default)
{
    tg_context *cx = tg_context_new(NULL);
    tg_pairs *p;
    tg_pairs_info info;
    char text[500];
    size_t n = write_words(text, 100);
    n += write_words(text + n, 101);
    ck_assert(!parse(cx, text, n, &words, &p, &info));
    ck_assert_int_eq(info.pairs, 1);
    ck_assert_int_eq(info.too_long, 1);
    ck_assert_int_eq(info.first_too_long, 2);
    tg_context_free(cx);
}
END_TEST

START_TEST(line_of_a_million_bytes_is_the_longest)
{
    tg_context *cx = tg_context_new(NULL);
    const size_t most = PAIRS_MOST_LINE;
    char *text = malloc(most + 8);
    tg_pairs *p;
    memset(text, 'x', most);
    memcpy(text, "a\t", 2);
    memcpy(text + most, "\r\n", 2);
    ck_assert_msg(!parse(cx, text, most + 2, &words, &p, NULL), "%s", tg_context_message(cx));
    ck_assert_uint_eq(strlen(tg_pairs_target(p, 0)), most - 2);
    memcpy(text + most, "x\r\n", 3);
    ck_assert_int_eq(parse(cx, text, most + 3, &words, &p, NULL), TG_ERR_DATA);
    ck_assert_str_eq(tg_context_message(cx),
                     "t.tsv: line 1, byte 1000001: the line has 1000001 bytes, more than 1000000");
    free(text);
    tg_context_free(cx);
}
END_TEST

START_TEST(garbage_is_read_or_refused_with_a_sentence)
{
    static const char *const pieces[] = { "a", "b c",      "\t",           "\n",     "\r\n",
                                          " ", "\xC3\xA9", "\xEF\xBB\xBF", "a\tb\n", "c\td\n" };
    enum { PIECES = sizeof pieces / sizeof *pieces };
    int taken = 0, refused = 0;
    tg_context *cx = NULL, *dice = tg_context_new(&(tg_context_config){ .seed = 5 });
    for (int run = 0; run < 20000; run++) {
        if (run % 200 == 0) tg_context_free(cx), cx = tg_context_new(NULL);
        char bytes[64 * 4];
        size_t n = 0;
        const int parts = (int)(tg_random_uniform(dice, "parts", run, 0) * 40);
        const double noise = tg_random_uniform(dice, "noise", run, 0) < 0.5 ? 0.02 : 0.6;
        for (int i = 0; i < parts; i++) {
            const double u = tg_random_uniform(dice, "piece", run, (uint64_t)i);
            if (tg_random_uniform(dice, "kind", run, (uint64_t)i) < noise) {
                bytes[n++] = (char)(u * 256);
                continue;
            }
            const char *piece = pieces[(int)(u * PIECES)];
            memcpy(bytes + n, piece, strlen(piece));
            n += strlen(piece);
        }
        tg_pairs *p = NULL;
        tg_pairs_info info;
        const tg_status s = parse(
            cx, bytes, n, &(tg_pairs_config){ run % 2 ? NULL : characters(cx), 1 + run % 9 }, &p, &info);
        const char *message = tg_context_message(cx);
        ck_assert_msg(s ? !p && s == TG_ERR_DATA && !strncmp(message, "t.tsv: ", 7) && strstr(message, "line")
                        : !!p,
                      "run %d: %d: %s", run, s, message);
        s ? refused++ : taken++;
        for (int i = 0; p && i < tg_pairs_count(p); i++) {
            ck_assert(*tg_pairs_source(p, i) && tg_utf8_valid(tg_pairs_source(p, i), NULL));
            ck_assert(*tg_pairs_target(p, i) && tg_utf8_valid(tg_pairs_target(p, i), NULL));
            ck_assert(!strpbrk(tg_pairs_source(p, i), "\t\n") && !strpbrk(tg_pairs_target(p, i), "\t\n"));
        }
    }
    ck_assert_int_gt(taken, 200); /* both kinds were seen */
    ck_assert_int_gt(refused, 5000);
    tg_context_free(cx);
    tg_context_free(dice);
}
END_TEST

/* ---- from files ---- */

static char folder[200], file[300];

static void make_folder(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.150s/tidegate-XXXXXX", base ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/pairs.tsv", folder);
}

static void remove_folder(void)
{
    unlink(file);
    ck_assert_int_eq(rmdir(folder), 0);
}

static void write_file(const char *bytes, size_t n)
{
    FILE *f = fopen(file, "wb");
    ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

static void expect_refusal(tg_context *cx, const char *path, tg_status status, const char *part)
{
    tg_pairs *p = NULL;
    tg_pairs_info info = { .lines = -9 };
    ck_assert_int_eq(tg_pairs_read(cx, path, &words, &p, &info), status);
    ck_assert_msg(strstr(tg_context_message(cx), part), "%s", tg_context_message(cx));
    ck_assert(!p && info.lines == -9 && tg_context_ok(cx));
}

START_TEST(file_is_read_with_its_digest)
{
    const char *text = "a b\tc\nd\te f\n";
    make_folder();
    tg_context *cx = tg_context_new(NULL);
    tg_pairs *p;
    tg_pairs_info info;
    write_file(text, strlen(text));
    ck_assert_msg(!tg_pairs_read(cx, file, NULL, &p, &info), "%s", tg_context_message(cx));
    ck_assert_int_eq(tg_pairs_count(p), 2);
    ck_assert_str_eq(tg_pairs_target(p, 1), "e f");
    ck_assert_int_eq(info.bytes, 12);
    ck_assert_uint_eq(info.digest, XXH64(text, 12, 0));
    ck_assert(!tg_pairs_read(cx, file, &words, &p, NULL));
    write_file("a\tb\nc\xFF\td\n", 9);
    expect_refusal(cx, file, TG_ERR_DATA, "/pairs.tsv: line 2, byte 2: not valid UTF-8 (byte 0xFF 0x09)");
    tg_context_free(cx);
    remove_folder();
}
END_TEST

START_TEST(what_is_no_file_is_refused_with_a_sentence)
{
    make_folder();
    tg_context *cx = tg_context_new(NULL);
    expect_refusal(cx, file, TG_ERR_ABSENT, "/pairs.tsv: cannot be opened: No such file or directory");
    expect_refusal(cx, folder, TG_ERR_IO, ": is a directory, not a file");
    expect_refusal(cx, "/dev/null", TG_ERR_IO, "/dev/null: is a pipe or a device");
    ck_assert_int_eq(mkfifo(file, 0600), 0);
    expect_refusal(cx, file, TG_ERR_IO, "is a pipe or a device"); /* and does not wait for a writer */
    unlink(file);

    write_file("", 0);
    expect_refusal(cx, file, TG_ERR_DATA, ": the file is empty");
    char below[320];
    snprintf(below, sizeof below, "%s/below", file);
    expect_refusal(cx, below, TG_ERR_ABSENT, "Not a directory");
    ck_assert_int_eq(truncate(file, (off_t)PAIRS_MOST_FILE + 1), 0);
    expect_refusal(cx, file, TG_ERR_DATA, "the file has 1073741825 bytes, more than 1073741824");
    tg_context_free(cx);
    remove_folder();
}
END_TEST

/* The system's own files claim 4096 bytes and have a few: as if they had been cut meanwhile. */
START_TEST(file_that_is_not_as_long_as_it_says_is_refused)
{
    const char *path = "/sys/devices/system/cpu/online";
    struct stat st;
    tg_context *cx = tg_context_new(NULL);
    if (!stat(path, &st) && st.st_size == 4096)
        expect_refusal(cx, path, TG_ERR_IO,
                       "the file changed while it was read: it had 4096 bytes, then fewer");
    tg_context_free(cx);
}
END_TEST

START_TEST(long_path_leaves_room_for_the_sentence)
{
    tg_context *cx = tg_context_new(NULL);
    char path[3001] = "";
    for (int i = 0; i < 300; i++) strcat(path, "/directory");
    expect_refusal(cx, path, TG_ERR_ABSENT, "directory: cannot be opened: No such file");
    ck_assert(!strncmp(tg_context_message(cx), "...", 3));
    tg_context_free(cx);
}
END_TEST

START_TEST(bad_config_or_failed_context_reads_nothing)
{
    tg_context *cx = tg_context_new(NULL);
    tg_pairs *p = NULL;
    ck_assert_int_eq(tg_pairs_read(cx, "x", &(tg_pairs_config){ .max_length = -3 }, &p, NULL),
                     TG_ERR_ARGUMENT);
    ck_assert(strstr(tg_context_message(cx), "max_length is -3"));
    tg_context_fail(cx, TG_ERR_NUMBER, "earlier");
    ck_assert_int_eq(tg_pairs_read(cx, "x", &words, &p, NULL), TG_ERR_NUMBER);
    ck_assert_str_eq(tg_context_message(cx), "earlier");
    ck_assert_ptr_null(p);
    tg_context_free(cx);
}
END_TEST

/* ---- out of memory ---- */

typedef struct budget {
    int left, held;
} budget;

static void *spend(void *user, size_t bytes)
{
    budget *b = user;
    if (b->left-- <= 0) return NULL;
    b->held++;
    return malloc(bytes);
}
static void give_back(void *user, void *block)
{
    budget *b = user;
    b->held--;
    free(block);
}

START_TEST(out_of_memory_is_a_status_and_leaks_nothing)
{
    make_folder();
    write_file("a\tb\n", 4);
    int tries = 0;
    for (tg_status s = TG_ERR_MEMORY; s; tries++) {
        ck_assert_int_lt(tries, 20);
        budget b = { .left = 1 };
        tg_context *cx = tg_context_new(
            &(tg_context_config){ .allocate = spend, .release = give_back, .allocator_user = &b });
        tg_pairs *p = NULL;
        b.left = tries;
        s = tg_pairs_read(cx, file, &words, &p, NULL);
        ck_assert(s == TG_ERR_MEMORY ? !p && strstr(tg_context_message(cx), "out of memory") : !!p);
        ck_assert(tg_context_ok(cx));
        tg_context_free(cx);
        ck_assert_int_eq(b.held, 0);
    }
    ck_assert_int_ge(tries, 4); /* text, pairs, repeated, the context's own memory */
    remove_folder();
}
END_TEST

START_TEST(text_that_is_tokenized_already_is_found_out)
{
    static const struct {
        const char *text;
        bool tokenized;
    } texts[] = {
        { "who is there ?\tqui est l\xC3\xA0 ?\nthe end .\tla fin .\n", true },
        { "Hello , he said\tbonjour\n", true },
        { "he left pp. 1. and &apos;t&apos;ve .\t\xE4\xBB\x96\xE8\xAF\xB4\xEF\xBC\x8C\xE6\x98\xAF "
          "\xE3\x80\x82\n",
          true },
        { "a well @-@ known man\tx\n", true },
        { "so &quot; said &quot; he\tx\n", true },
        { "Bonjour ! Qui est l\xC3\xA0 ?\tHello! Who is there?\n", false }, /* as French is written */
        { "The end.\tLa fin.\nHello, you\tBonjour, toi\n", false },
        { "wait ...\twait...\n1 2 3\tone two three\n", false },
        { "I see , maybe.\tx\n", false },  /* the one like the other */
        { "the end .\tLa fin.\n", false }, /* one side alone */
        { "a .\tb .\na .\tb .\na .\tb .\na .\tb .\na .\tb .\nthe U.S.\tx y\n", true }, /* one in ten */
        { "a .\tb .\na .\tb .\na .\tb .\na .\tb .\na .\tb\nthe U.S.\tx y\n", false },
        { ".\t,\n", true },
    };
    tg_context *cx = tg_context_new(NULL);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        tg_pairs *p = NULL;
        ck_assert_int_eq(parse(cx, texts[i].text, strlen(texts[i].text), &words, &p, NULL), TG_OK);
        ck_assert_msg(tg_pairs_tokenized(p) == texts[i].tokenized, "case %zu", i);
    }
    tg_context_free(cx);
}
END_TEST

TG_TEST_MAIN("data/pairs", text_that_is_tokenized_already_is_found_out, pairs_are_read_as_promised,
             bad_bytes_are_refused_with_line_and_byte, info_counts_what_was_seen,
             length_is_counted_by_the_tokenizer, length_is_a_hundred_by_default,
             line_of_a_million_bytes_is_the_longest, garbage_is_read_or_refused_with_a_sentence,
             file_is_read_with_its_digest, what_is_no_file_is_refused_with_a_sentence,
             file_that_is_not_as_long_as_it_says_is_refused, long_path_leaves_room_for_the_sentence,
             bad_config_or_failed_context_reads_nothing, out_of_memory_is_a_status_and_leaks_nothing)
