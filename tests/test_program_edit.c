/* tests/test_program_edit.c -- edit_checkpoint FROM TO PATH=TEXT...: a copy with these texts, sealed, whatever they are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tidegate/checkpoint.h>

#include "hdf5/sealed.h"

static void put(tg_archive *a, const tg_entry *e)
{
    if (e->array && e->type == TG_TEXT)
        tg_archive_put_texts(a, e->path, e->dim[0], e->data);
    else if (e->array)
        tg_archive_put_array(a, e->path, e->type, e->rank, e->dim, e->data);
    else if (e->type == TG_TEXT)
        tg_archive_put_text(a, e->path, e->data);
    else if (e->type == TG_INT64)
        tg_archive_put_integer(a, e->path, *(const int64_t *)e->data);
    else
        tg_archive_put_number(a, e->path, *(const double *)e->data);
}

int main(int argc, char *argv[])
{
    tg_context *cx = tg_context_new(NULL);
    tg_archive *from = NULL, *to = tg_archive_new(cx);
    if (argc < 4 || tg_checkpoint_read(cx, argv[1], &from)) goto failed;
    for (int i = 3; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        if (!equals) goto failed;
        *equals = 0;
        tg_archive_put_text(to, argv[i], equals + 1);
    }
    for (int i = 0; i < tg_archive_count(from); i++) {
        tg_entry e;
        tg_archive_entry(from, i, &e);
        if (!tg_archive_has(to, e.path)) put(to, &e);
    }
    if (tg_archive_status(to) || tg__sealed_save(cx, to, argv[2], false)) goto failed;
    tg_archive_free(from);
    tg_archive_free(to);
    tg_context_free(cx);
    return EXIT_SUCCESS;
failed:
    fprintf(stderr, "edit_checkpoint: %s\n", tg_context_message(cx));
    return EXIT_FAILURE;
}
