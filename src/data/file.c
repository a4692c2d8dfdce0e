/* data/file.c -- a text file into memory, and from there to pairs, or to codes. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/check.h"
#include "data/tokenizer.h"

static tg_status io_error(tg_context *cx, const char *path, const char *what)
{
    const int absent = errno == ENOENT || errno == ENOTDIR;
    char text[128];
    return tg_context_note(cx, absent ? TG_ERR_ABSENT : TG_ERR_IO, "%s: %s: %s", tg__shown_path(path).s, what,
                           strerror_r(errno, text, sizeof text));
}

/* Can a file of this kind and size be read whole? */
static tg_status check_kind(tg_context *cx, const char *path, const struct stat *st)
{
    if (S_ISDIR(st->st_mode))
        return tg_context_note(cx, TG_ERR_IO, "%s: is a directory, not a file", tg__shown_path(path).s);
    if (!S_ISREG(st->st_mode))
        return tg_context_note(cx, TG_ERR_IO, "%s: is a pipe or a device, not a file that can be read again",
                               tg__shown_path(path).s);
    if (st->st_size == 0)
        return tg_context_note(cx, TG_ERR_DATA, "%s: the file is empty", tg__shown_path(path).s);
    if (st->st_size > PAIRS_MOST_FILE)
        return tg_context_note(cx, TG_ERR_DATA, "%s: the file has %lld bytes, more than %d",
                               tg__shown_path(path).s, (long long)st->st_size, PAIRS_MOST_FILE);
    return TG_OK;
}

/* Bytes read into p: less than n only at the end of the file; -1: errno says why. */
static ssize_t read_whole(int fd, char *p, size_t n)
{
    size_t got = 0;
    while (got < n) {
        const ssize_t more = read(fd, p + got, n - got);
        if (more < 0 && errno == EINTR) continue;
        if (more < 0) return -1;
        if (more == 0) break;
        got += (size_t)more;
    }
    return (ssize_t)got;
}

/* *text: st_size bytes and a 0. A file that is written to at this moment is no basis for a digest. */
static tg_status read_open_file(tg_context *cx, const char *path, int fd, char **text, size_t *bytes)
{
    struct stat st;
    if (fstat(fd, &st)) return io_error(cx, path, "cannot be looked at");
    const tg_status s = check_kind(cx, path, &st);
    if (s) return s;
    *bytes = (size_t)st.st_size;
    *text = tg__allocate(cx, *bytes + 1);
    if (!*text) return TG_ERR_MEMORY;

    const ssize_t got = read_whole(fd, *text, *bytes + 1);
    if (got == st.st_size) {
        (*text)[got] = 0;
        return TG_OK;
    }
    tg__release(cx, *text);
    if (got < 0) return io_error(cx, path, "cannot be read");
    return tg_context_note(cx, TG_ERR_IO, "%s: the file changed while it was read: it had %zu bytes, then %s",
                           tg__shown_path(path).s, *bytes, (size_t)got < *bytes ? "fewer" : "more");
}

tg_status tg__text_read(tg_context *cx, const char *path, char **text, size_t *bytes)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* waits for no FIFO */
    if (fd < 0) return io_error(cx, path, "cannot be opened");
    const tg_status s = read_open_file(cx, path, fd, text, bytes);
    close(fd);
    return s;
}

tg_status tg_pairs_read(tg_context *cx, const char *path, const tg_pairs_config *config, tg_pairs **pairs,
                        tg_pairs_info *info)
{
    const tg_pairs_config defaults = { 0 };
    const tg_pairs_config c = config ? *config : defaults;
    if (!cx) return TG_ERR_ARGUMENT;
    if (cx->status) return cx->status;
    tg_status s = UNNAMED(cx, path);
    if (s || (s = MISSING(cx, ARG(pairs)))) return s;
    if (!tg__tokenizer_is_of(cx, "tg_pairs_read", c.tokenizer) ||
        !tg__tokenizer_is_of(cx, "tg_pairs_read", c.target_tokenizer))
        return tg__status_taken(cx);
    if (c.max_length < 0)
        return tg_context_note(cx, TG_ERR_ARGUMENT, "tg_pairs_read: max_length is %d: it is at least 0",
                               c.max_length);

    char *text;
    size_t bytes;
    s = tg__text_read(cx, path, &text, &bytes);
    return s ? s : tg__pairs_parse(cx, path, text, bytes, &c, pairs, info);
}
