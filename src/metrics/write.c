/* metrics/write.c -- lines for people, the same in every locale. */
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>

#include "metrics/metrics.h"

void tg__write(writer *w, const char *format, ...)
{
    const locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    const locale_t users = plain ? uselocale(plain) : (locale_t)0;
    const size_t room = w->n < w->bytes ? w->bytes - w->n : 0;
    va_list arguments;
    va_start(arguments, format);
    const int more = vsnprintf(room ? w->text + w->n : NULL, room, format, arguments);
    va_end(arguments);
    if (more > 0) w->n += (size_t)more;
    if (plain) uselocale(users), freelocale(plain);
}

void tg__write_common(writer *w, int references, bool lowercase)
{
    if (references)
        tg__write(w, "nrefs:%d|", references < 0 ? 0 : references);
    else
        tg__write(w, "nrefs:var|");
    tg__write(w, "case:%s|", lowercase ? "lc" : "mixed");
}
