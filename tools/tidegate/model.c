/* tools/tidegate/model.c -- finding and opening a trained model. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "program.h"

/* False: it does not fit. */
static bool join(char *path, size_t bytes, const char *folder, const char *file)
{
    const int n = snprintf(path, bytes, "%s%s%s", folder, *file ? "/" : "", file);
    return n >= 0 && (size_t)n < bytes;
}

bool model_path(const char *model, char *path, size_t bytes)
{
    static const char *const files[] = { "best.h5", "last.h5" };
    struct stat is;
    if (stat(model, &is)) return fail("%s: %s", model, strerror(errno)), false;
    const bool folder = S_ISDIR(is.st_mode);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (!join(path, bytes, model, folder ? files[i] : ""))
            return fail("%s: the name is too long", model), false;
        if (!folder || stat(path, &is) == 0) return true;
    }
    return fail("%s: neither best.h5 nor last.h5 is in this directory", model), false;
}

bool open_translator(tg_context *cx, const char *model, tg_translator *tr)
{
    char path[4096];
    if (!tg_context_ok(cx)) return fail_context(cx), false;
    if (!model_path(model, path, sizeof path)) return false;
    if (tg_translator_open(cx, path, tr)) return fail_context(cx), false;
    return true;
}
