/* tools/tidegate/lines.c -- a line from outside as text. */
#include <string.h>

#include "program.h"

const char *clean_line(const char *name, char *line, size_t bytes, long long number)
{
    size_t at;
    if (memchr(line, 0, bytes)) {
        fail("%s: line %lld: byte %zu is a NUL", name, number, (size_t)strlen(line) + 1);
        return NULL;
    }
    while (bytes && line[bytes - 1] == '\r') bytes--;
    line[bytes] = 0;
    if (!tg_utf8_valid(line, &at)) {
        fail("%s: line %lld: byte %zu is not UTF-8 (0x%02X)", name, number, at + 1, (unsigned char)line[at]);
        return NULL;
    }
    at = strcspn(line, "\r");
    if (line[at]) {
        fail("%s: line %lld: byte %zu is a carriage return (CR): lines end in LF or CR LF", name, number,
             at + 1);
        return NULL;
    }
    while (strncmp(line, "\xEF\xBB\xBF", 3) == 0) line += 3;
    return line;
}
