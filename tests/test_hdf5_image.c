/* Sealed files: the content, what is refused, HDF5 calls that fail. */
#include <fcntl.h>
#include <math.h>
#include <unistd.h>

#include <xxhash.h>

#include "check_main.h"
#include "file_fixture.h"
#include "hdf5/image.h"
#include "hdf5/sealed.h"
#include "tensor/archive.h"

static tg_context *cx;

static void setup(void)
{
    folder_make();
    cx = tg_context_new(NULL);
}

static void teardown(void)
{
    fault_none();
    tg_context_free(cx);
    folder_remove();
}

/* One of each, and groups large enough for HDF5's other ways of keeping them. */
static tg_archive *everything(void)
{
    static char large[100001];
    char path[64];
    tg_archive *a = tg_archive_new(cx);
    memset(large, 'x', sizeof large - 1);
    tg_archive_put_text(a, "format", "tidegate");
    tg_archive_put_integer(a, "least", INT64_MIN);
    tg_archive_put_number(a, "tenth", 0.1);
    tg_archive_put_number(a, "infinity", (double)-INFINITY);
    tg_archive_put_text(a, "empty", "");
    tg_archive_put_text(a, "model/gr\xc3\xbcn", "gr\xc3\xbcn \xff"); /* bytes are kept, whatever they are */
    tg_archive_put_text(a, "model/large", large);
    tg_archive_put_array(a, "x/f32", TG_FLOAT32, 2, (int[]){ 2, 3 },
                         (float[]){ 1, -2, 3e38f, 1e-45f, NAN, 0.1f });
    tg_archive_put_array(a, "x/f64", TG_FLOAT64, 1, (int[]){ 2 }, (double[]){ 0.1, -INFINITY });
    tg_archive_put_array(a, "x/i32", TG_INT32, 4, (int[]){ 1, 2, 1, 1 }, (int32_t[]){ INT32_MIN, 7 });
    tg_archive_put_array(a, "x/i64", TG_INT64, 3, (int[]){ 1, 1, 2 }, (int64_t[]){ INT64_MAX, -7 });
    tg_archive_put_array(a, "x/u8", TG_BYTES, 1, (int[]){ 3 }, (unsigned char[]){ 0, 127, 255 });
    tg_archive_put_array(a, "x/none", TG_FLOAT32, 2, (int[]){ 3, 0 }, NULL);
    tg_archive_put_array(a, "x/one", TG_FLOAT64, 0, NULL, (double[]){ 2.5 });
    tg_archive_put_texts(a, "v/words", 4, (const char *const[]){ "", "a", "gr\xc3\xbcn", "longest of all" });
    tg_archive_put_texts(a, "v/full", 3, (const char *const[]){ "aa", "bb", "cc" });
    tg_archive_put_texts(a, "v/empty", 2, (const char *const[]){ "", "" });
    tg_archive_put_texts(a, "v/none", 0, NULL);
    for (int i = 0; i < 60; i++) {
        snprintf(path, sizeof path, "many/value%d", i);
        tg_archive_put_integer(a, path, i * i);
        snprintf(path, sizeof path, "many/group%d/a/b/x", i);
        tg_archive_put_array(a, path, TG_INT32, 1, (int[]){ 1 }, (int32_t[]){ i });
    }
    ck_assert_int_eq(tg_archive_status(a), TG_OK);
    return a;
}

static tg_archive *little(void)
{
    tg_archive *a = tg_archive_new(cx);
    tg_archive_put_text(a, "format", "tidegate");
    tg_archive_put_array(a, "x/W", TG_FLOAT32, 2, (int[]){ 2, 2 }, (float[]){ 1, 2, 3, 4 });
    ck_assert_int_eq(tg_archive_status(a), TG_OK);
    return a;
}

static size_t data_bytes(const tg_entry *e)
{
    size_t n = e->type == TG_TEXT ? strlen(e->data) + 1 : tg__archive_element(e->type);
    for (int i = 0; i < e->rank; i++) n *= (size_t)e->dim[i];
    return n;
}

static void assert_same(const tg_archive *a, const tg_archive *b)
{
    ck_assert_int_eq(tg_archive_count(a), tg_archive_count(b));
    for (int i = 0; i < tg_archive_count(a); i++) {
        tg_entry e;
        tg_archive_entry(a, i, &e);
        const tg_entry *f = tg__archive_find(b, e.path);
        ck_assert_msg(f != NULL, "%s", e.path);
        ck_assert_msg(e.type == f->type && e.array == f->array && e.rank == f->rank &&
                          !memcmp(e.dim, f->dim, sizeof e.dim),
                      "%s", e.path);
        if (!e.array || e.type != TG_TEXT)
            ck_assert_msg(!memcmp(e.data, f->data, data_bytes(&e)), "%s", e.path);
        else
            for (int k = 0; k < e.dim[0]; k++)
                ck_assert_str_eq(((const char *const *)e.data)[k], ((const char *const *)f->data)[k]);
    }
}

START_TEST(every_type_comes_back_as_it_was)
{
    tg_archive *a = everything(), *b;
    ck_assert_msg(tg__sealed_save(cx, a, in_folder("x.h5"), false) == TG_OK, "%s", tg_context_message(cx));
    ck_assert_msg(tg__sealed_load(cx, in_folder("x.h5"), &b) == TG_OK, "%s", tg_context_message(cx));
    assert_same(a, b);
    tg_archive_free(a);
    tg_archive_free(b);
}
END_TEST

START_TEST(the_same_archive_gives_the_same_bytes)
{
    for (int i = 0; i < 2; i++) {
        tg_archive *a = everything();
        void *shift = malloc((size_t)1000 << i); /* other addresses, other rubbish in fresh memory */
        memset(shift, 0x55, (size_t)1000 << i);
        free(shift);
        ck_assert_int_eq(tg__sealed_save(cx, a, in_folder(i ? "b.h5" : "a.h5"), false), TG_OK);
        if (!i) sleep(1); /* no time stamps */
        tg_archive_free(a);
    }
    bytes x = bytes_of(in_folder("a.h5")), y = bytes_of(in_folder("b.h5"));
    ck_assert(x.n > 4096 && same_bytes(x, y));
    free(x.data);
    free(y.data);
}
END_TEST

START_TEST(the_user_block_is_as_documented)
{
    tg_archive *a = little();
    ck_assert_int_eq(tg__sealed_save(cx, a, in_folder("x.h5"), false), TG_OK);
    bytes b = bytes_of(in_folder("x.h5"));
    ck_assert(!memcmp(b.data, "\211TGA\r\n\032\n\1\0\0\0\0\20\0\0", 16));
    uint64_t number[2];
    memcpy(number, b.data + 16, sizeof number); /* on the little-endian machines that run this */
    ck_assert(number[0] == b.n - 4096 && number[1] == XXH64(b.data + 4096, b.n - 4096, 0));
    for (int i = 32; i < 4096; i++) ck_assert_int_eq(b.data[i], 0);
    ck_assert(!memcmp(b.data + 4096, "\211HDF\r\n\032\n", 8));
    uint64_t end; /* of file, as HDF5's superblock has it: nothing is missing, nothing is too much */
    memcpy(&end, b.data + 4096 + 28, sizeof end);
    ck_assert(end == b.n);
    free(b.data);
    tg_archive_free(a);
}
END_TEST

START_TEST(any_damage_is_found)
{
    tg_archive *a = little(), *b;
    const char *path = in_folder("x.h5");
    ck_assert_int_eq(tg__sealed_save(cx, a, path, false), TG_OK);
    tg_archive_free(a);
    const bytes whole = bytes_of(path);
    unsigned seed = 1;
    int fd = open(path, O_RDWR);
    for (int i = 0; i < 2000; i++) {
        seed = seed * 1664525 + 1013904223;
        const size_t at =
            i < 256 ? (size_t)i / 8 : (seed >> 8) % whole.n; /* the header in full, the rest at random */
        const unsigned char bad =
            whole.data[at] ^ (unsigned char)(1 << (i < 256 ? i % 8 : (int)(seed >> 5 & 7)));
        ck_assert_int_eq(pwrite(fd, &bad, 1, (off_t)at), 1);
        const tg_status s = tg__sealed_load(cx, path, &b);
        const bool newer = at == 8 ? bad > 1 : at > 8 && at < 12;
        ck_assert_msg(s == (at < 8  ? TG_ERR_FORMAT
                            : newer ? TG_ERR_VERSION
                                    : TG_ERR_DAMAGED),
                      "byte %zu: %d", at, s);
        ck_assert_ptr_null(b);
        ck_assert_int_eq(pwrite(fd, whole.data + at, 1, (off_t)at), 1);
    }
    ck_assert_int_eq(tg__sealed_load(cx, path, &b), TG_OK);
    tg_archive_free(b);
    for (size_t n = whole.n; n-- > 0; n -= n > 64 && (n < 4000 || n > 4200) ? 37 : 0) {
        ck_assert_int_eq(ftruncate(fd, (off_t)n), 0);
        const tg_status s = tg__sealed_load(cx, path, &b);
        ck_assert_msg(s == TG_ERR_DAMAGED, "%zu bytes: %d %s", n, s, tg_context_message(cx));
    }
    close(fd);
    bytes longer = { malloc(whole.n + 1), whole.n + 1 };
    memcpy(longer.data, whole.data, whole.n);
    longer.data[whole.n] = 0;
    bytes_to(path, longer.data, longer.n);
    ck_assert_int_eq(tg__sealed_load(cx, path, &b), TG_ERR_DAMAGED);
    free(longer.data);
    free(whole.data);
}
END_TEST

/* ---- HDF5 calls that fail ---- */

/* Ids of one kind are numbered in order: those made since the last call that are still alive. */
static long still_alive(void)
{
    static hid_t last[3];
    long alive = H5Fget_obj_count(H5F_OBJ_ALL, H5F_OBJ_ALL);
    const hid_t now[3] = { H5Screate(H5S_SCALAR), H5Tcopy(H5T_C_S1), H5Pcreate(H5P_FILE_ACCESS) };
    H5Sclose(now[0]);
    H5Tclose(now[1]);
    H5Pclose(now[2]);
    for (int k = 0; k < 3; k++) {
        for (hid_t id = last[k] ? last[k] + 1 : now[k]; id < now[k]; id++) alive += H5Iis_valid(id) > 0;
        last[k] = now[k];
    }
    return alive;
}

/* One of each kind of work, as small as can be. */
static tg_archive *one_of_each(void)
{
    tg_archive *a = tg_archive_new(cx);
    tg_archive_put_text(a, "m/format", "tidegate");
    tg_archive_put_integer(a, "m/n", 1);
    tg_archive_put_array(a, "x/W", TG_FLOAT32, 1, (int[]){ 2 }, (float[]){ 1, 2 });
    tg_archive_put_texts(a, "x/words", 2, (const char *const[]){ "a", "b" });
    ck_assert_int_eq(tg_archive_status(a), TG_OK);
    return a;
}

START_TEST(any_failing_hdf5_call_is_an_error_that_leaks_nothing)
{
    tg_archive *a = one_of_each(), *old = little(), *b;
    const char *path = in_folder("x.h5");
    ck_assert_int_eq(tg__sealed_save(cx, a, path, false), TG_OK);
    ck_assert_int_eq(tg__sealed_save(cx, old, path, false), TG_OK);
    const bytes before = bytes_of(path);
    still_alive();
    H5Screate(H5S_SCALAR);
    ck_assert_int_eq(still_alive(), 1); /* it would be seen */
    for (int save = 0; save < 2; save++)
        for (int for_good = 0; for_good < 2; for_good++)
            for (long at = 1, over = false; !over; at++) {
                tg__hdf5_done = 0;
                tg__hdf5_fail_at = at;
                tg__hdf5_fail_for_good = for_good;
                tg_status s = save ? tg__sealed_save(cx, a, path, false) : tg__sealed_load(cx, path, &b);
                over = tg__hdf5_done < at;
                tg__hdf5_fail_at = 0;
                ck_assert_msg(over ? s == TG_OK : s == TG_ERR_IO || (!save && s == TG_ERR_FORMAT),
                              "call %ld: %d", at, s);
                if (!save && !s) tg_archive_free(b);
                if (!save && s) ck_assert_ptr_null(b);
                ck_assert_msg(still_alive() == 0, "call %ld leaks", at);
                const bytes after = bytes_of(path);
                ck_assert(same_bytes(before, after) == !(save && over));
                free(after.data);
                ck_assert_int_eq(folder_count(), 1);
                if (over) {
                    ck_assert_int_gt(at, 30); /* the seam is in use */
                    ck_assert_int_eq(tg__sealed_save(cx, old, path, false), TG_OK);
                }
            }
    free(before.data);
    tg_archive_free(a);
    tg_archive_free(old);
}
END_TEST

/* ---- sealing anew ---- */

static tg_status accept_all(tg_context *c, const tg_archive *a)
{
    (void)c, (void)a;
    return TG_OK;
}

static tg_status accept_none(tg_context *c, const tg_archive *a)
{
    (void)a;
    return tg_context_note(c, TG_ERR_FORMAT, "not this one");
}

START_TEST(an_edited_file_is_sealed_anew_if_it_can_be_read)
{
    const char *path = in_folder("x.h5");
    tg_archive *a = little(), *b;
    float x[4] = { 5, 6, 7, 8 }, y[4];
    ck_assert_int_eq(tg__sealed_save(cx, a, path, false), TG_OK);
    tg_archive_free(a);
    hid_t f = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), d = H5Dopen2(f, "/x/W", H5P_DEFAULT);
    ck_assert(H5Dwrite(d, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) >= 0);
    H5Dclose(d);
    H5Fclose(f);
    ck_assert_int_eq(tg__sealed_load(cx, path, &b), TG_ERR_DAMAGED);
    ck_assert_int_eq(tg__sealed_renew(cx, path, accept_none), TG_ERR_FORMAT);
    ck_assert_int_eq(tg__sealed_load(cx, path, &b), TG_ERR_DAMAGED);
    ck_assert_msg(tg__sealed_renew(cx, path, accept_all) == TG_OK, "%s", tg_context_message(cx));
    ck_assert_int_eq(tg__sealed_load(cx, path, &b), TG_OK);
    ck_assert_int_eq(tg_archive_get_array(b, "x/W", TG_FLOAT32, 2, (int[]){ 2, 2 }, y), TG_OK);
    ck_assert(!memcmp(x, y, sizeof x));
    tg_archive_free(b);

    f = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    H5Lcreate_soft("/x/W", f, "link", H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(f);
    const bytes before = bytes_of(path);
    ck_assert_int_eq(tg__sealed_renew(cx, path, accept_all), TG_ERR_FORMAT);
    const bytes after = bytes_of(path);
    ck_assert(same_bytes(before, after));
    free(before.data);
    free(after.data);
    bytes_to(path, "a text that is nothing of the kind\n", 35);
    ck_assert_int_eq(tg__sealed_renew(cx, path, accept_all), TG_ERR_FORMAT);
    ck_assert_int_eq(tg__sealed_load(cx, path, &b), TG_ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(tg_context_message(cx), path));
    ck_assert_int_eq(tg__sealed_renew(cx, in_folder("none.h5"), accept_all), TG_ERR_ABSENT);
}
END_TEST

START_TEST(h5dump_reads_it_where_there_is_one)
{
    char command[400];
    tg_archive *a = everything();
    ck_assert_int_eq(tg__sealed_save(cx, a, in_folder("x.h5"), false), TG_OK);
    tg_archive_free(a);
    snprintf(command, sizeof command, "command -v h5dump > %s/which", folder);
    if (system(command)) return;
    snprintf(command, sizeof command, "h5dump -d /x/i32 %s/x.h5 > %s/dump 2>&1", folder, folder);
    ck_assert_int_eq(system(command), 0);
    bytes dump = bytes_of(in_folder("dump"));
    dump.data[dump.n] = 0;
    ck_assert_ptr_nonnull(strstr((char *)dump.data, "-2147483648"));
    ck_assert_ptr_nonnull(strstr((char *)dump.data, "H5T_STD_I32LE"));
    free(dump.data);
}
END_TEST

TG_TEST_MAIN_FIXTURE("hdf5/image", setup, teardown, every_type_comes_back_as_it_was,
                     the_same_archive_gives_the_same_bytes, the_user_block_is_as_documented,
                     any_damage_is_found, any_failing_hdf5_call_is_an_error_that_leaks_nothing,
                     an_edited_file_is_sealed_anew_if_it_can_be_read, h5dump_reads_it_where_there_is_one)
