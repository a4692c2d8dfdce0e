/* tools/tidegate/output_file.c -- see output_file.h. */
#include "output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "program.h"

static bool failed(const output_file *o)
{
    return fail("%s: cannot be written: %s", o->name, strerror(errno)), false;
}

/* The name to write to, and *mode of the file that is there (0 if none is). */
static bool resolve(output_file *o, mode_t *mode)
{
    struct stat is;
    *mode = 0;
    if (strlen(o->name) >= sizeof o->path) return errno = ENAMETOOLONG, failed(o);
    if (!realpath(o->name, o->path)) {
        if (errno != ENOENT) return failed(o);
        if (lstat(o->name, &is) == 0)
            return fail("%s: a symbolic link to nothing: it is not replaced", o->name), false;
        strcpy(o->path, o->name);
    } else if (stat(o->path, &is) == 0) {
        if (!S_ISREG(is.st_mode)) return fail("%s: not a regular file: it is not replaced", o->name), false;
        *mode = is.st_mode & 0777;
    }
    snprintf(o->part, sizeof o->part, "%s.part", o->path);
    return true;
}

bool output_file_open(output_file *o, const char *name)
{
    mode_t mode;
    *o = (output_file){ .name = name };
    if (!resolve(o, &mode)) return false;
    /* one that somebody left behind may be anything, a link for example: it goes, and is not written to */
    if (unlink(o->part) && errno != ENOENT) return failed(o);
    const int fd = open(o->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) return failed(o);
    if (!mode || !fchmod(fd, mode)) o->f = fdopen(fd, "w");
    if (o->f) return true;
    failed(o);
    close(fd);
    unlink(o->part);
    return false;
}

bool output_file_close(output_file *o, bool keep)
{
    errno = EIO; /* for an earlier write, whose own reason is gone */
    bool good = !keep || (!fflush(o->f) && !ferror(o->f) && !fsync(fileno(o->f)));
    if (!good) failed(o);
    if (fclose(o->f) && good && keep) good = failed(o);
    if (good && keep && rename(o->part, o->path)) good = failed(o);
    if (!good || !keep) unlink(o->part);
    o->f = NULL;
    return good;
}
