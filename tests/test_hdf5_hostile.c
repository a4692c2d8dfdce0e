/* Files that are whole, sealed, and hostile. */
#include <fcntl.h>
#include <unistd.h>

#include <xxhash.h>

#include "check_main.h"
#include "file_fixture.h"
#include "hdf5/sealed.h"

static tg_context *cx;

static void setup(void)
{
    folder_make();
    cx = tg_context_new(NULL);
}

static void teardown(void)
{
    tg_context_free(cx);
    folder_remove();
}

static hid_t make_list(hid_t class) { return H5Pcreate(class); }

/* A dataset "W" of two floats in `group`, with this list, type and space (-1: the usual). */
static void dataset(hid_t group, hid_t list, hid_t type, hid_t space)
{
    const hsize_t two = 2;
    const float x[2] = { 1, 2 };
    const hid_t s = space >= 0 ? space : H5Screate_simple(1, &two, NULL);
    const hid_t d = H5Dcreate2(group, "W", type >= 0 ? type : H5T_IEEE_F32LE, s, H5P_DEFAULT,
                               list >= 0 ? list : H5P_DEFAULT, H5P_DEFAULT);
    ck_assert(d >= 0);
    if (type < 0 && space < 0)
        ck_assert(H5Dwrite(d, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) >= 0);
    H5Dclose(d);
    if (space < 0) H5Sclose(s);
    if (list >= 0) H5Pclose(list);
}

static void attribute(hid_t object, hid_t type, hid_t space, const void *data)
{
    const hid_t a = H5Acreate2(object, "setting", type, space, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert(a >= 0 && H5Awrite(a, type, data) >= 0);
    H5Aclose(a);
    H5Sclose(space);
}

static void harmless(hid_t g) { dataset(g, -1, -1, -1); }

static void external_storage(hid_t g)
{
    bytes_to(in_folder("secret"), "12345678", 8);
    const hid_t list = make_list(H5P_DATASET_CREATE);
    const hsize_t two = 2;
    const hid_t space = H5Screate_simple(1, &two, NULL);
    H5Pset_external(list, in_folder("secret"), 0, 8);
    dataset(g, list, H5T_IEEE_F32LE, space);
    H5Sclose(space);
}

static void soft_link(hid_t g)
{
    harmless(g);
    H5Lcreate_soft("/x/W", g, "V", H5P_DEFAULT, H5P_DEFAULT);
}

static void soft_link_to_itself(hid_t g) { H5Lcreate_soft("/x/V", g, "V", H5P_DEFAULT, H5P_DEFAULT); }
static void external_link(hid_t g)
{
    H5Lcreate_external(in_folder("y.h5"), "/x", g, "V", H5P_DEFAULT, H5P_DEFAULT);
}

static void two_names(hid_t g)
{
    harmless(g);
    H5Lcreate_hard(g, "W", g, "V", H5P_DEFAULT, H5P_DEFAULT);
}

static void group_in_itself(hid_t g) { H5Lcreate_hard(g, ".", g, "V", H5P_DEFAULT, H5P_DEFAULT); }

static void chunked(hid_t g)
{
    const hid_t list = make_list(H5P_DATASET_CREATE);
    const hsize_t two = 2;
    H5Pset_chunk(list, 1, &two);
    dataset(g, list, -1, -1);
}

static void through_a_filter(hid_t g)
{
    const hid_t list = make_list(H5P_DATASET_CREATE);
    const hsize_t two = 2;
    H5Pset_chunk(list, 1, &two);
    H5Pset_deflate(list, 9);
    dataset(g, list, -1, -1);
}

static void compact(hid_t g)
{
    const hid_t list = make_list(H5P_DATASET_CREATE);
    H5Pset_layout(list, H5D_COMPACT);
    dataset(g, list, -1, -1);
}

static void virtual_dataset(hid_t g)
{
    const hid_t list = make_list(H5P_DATASET_CREATE);
    const hsize_t two = 2;
    const hid_t space = H5Screate_simple(1, &two, NULL);
    H5Pset_virtual(list, space, "y.h5", "/x/W", space);
    dataset(g, list, H5T_IEEE_F32LE, space);
    H5Sclose(space);
}

static void far_larger_than_the_file(hid_t g)
{
    const hsize_t many[2] = { 1 << 30, 1 << 10 };
    const hid_t space = H5Screate_simple(2, many, NULL);
    dataset(g, -1, H5T_IEEE_F32LE, space);
    H5Sclose(space);
}

static void never_written(hid_t g)
{
    const hsize_t two = 2;
    const hid_t space = H5Screate_simple(1, &two, NULL);
    dataset(g, -1, H5T_IEEE_F32LE, space);
    H5Sclose(space);
}

static void rank_five(hid_t g)
{
    const hsize_t one[5] = { 1, 1, 1, 1, 1 };
    const hid_t space = H5Screate_simple(5, one, NULL);
    dataset(g, -1, H5T_IEEE_F32LE, space);
    H5Sclose(space);
}

static void no_space(hid_t g)
{
    const hid_t space = H5Screate(H5S_NULL);
    dataset(g, -1, H5T_IEEE_F32LE, space);
    H5Sclose(space);
}

static void of_type(hid_t g, hid_t type)
{
    const hsize_t none = 0;
    const hid_t space = H5Screate_simple(1, &none, NULL);
    dataset(g, -1, type, space);
    H5Sclose(space);
}

static void big_endian(hid_t g) { of_type(g, H5T_IEEE_F32BE); }
static void sixteen_bits(hid_t g) { of_type(g, H5T_STD_I16LE); }
static void a_reference(hid_t g) { of_type(g, H5T_STD_REF_OBJ); }
static void ascii_texts(hid_t g) { of_type(g, H5T_C_S1); }

static void texts_padded(hid_t g, H5T_cset_t set, H5T_str_t pad)
{
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, 3);
    H5Tset_cset(type, set);
    H5Tset_strpad(type, pad);
    of_type(g, type);
    H5Tclose(type);
}

static void padded_ascii_texts(hid_t g) { texts_padded(g, H5T_CSET_ASCII, H5T_STR_NULLPAD); }
static void terminated_texts(hid_t g) { texts_padded(g, H5T_CSET_UTF8, H5T_STR_NULLTERM); }

static void texts_of_any_length(hid_t g)
{
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    of_type(g, type);
    H5Tclose(type);
}

static void a_named_type(hid_t g)
{
    const hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    H5Tcommit2(g, "type", type, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Tclose(type);
}

static void a_short_attribute(hid_t g)
{
    attribute(g, H5T_STD_I32LE, H5Screate(H5S_SCALAR), (int32_t[]){ 1 });
}

static void an_attribute_of_many(hid_t g)
{
    const hsize_t two = 2;
    attribute(g, H5T_STD_I64LE, H5Screate_simple(1, &two, NULL), (int64_t[]){ 1, 2 });
}

static void an_attribute_of_a_dataset(hid_t g)
{
    harmless(g);
    const hid_t d = H5Dopen2(g, "W", H5P_DEFAULT);
    attribute(d, H5T_STD_I64LE, H5Screate(H5S_SCALAR), (int64_t[]){ 1 });
    H5Dclose(d);
}

static void value_and_array_of_one_name(hid_t g)
{
    const hid_t a = H5Acreate2(g, "W", H5T_STD_I64LE, H5Screate(H5S_SCALAR), H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(a, H5T_NATIVE_INT64, (int64_t[]){ 1 });
    H5Aclose(a);
    harmless(g);
}

static void too_deep(hid_t g)
{
    const hid_t list = make_list(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(list, 1);
    H5Gclose(H5Gcreate2(
        g, "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/25/26/27/28/29/30/31/32/33", list,
        H5P_DEFAULT, H5P_DEFAULT));
    H5Pclose(list);
}

static void dots_in_a_name(hid_t g) /* HDF5 allows it; a path of ours that is nothing else does not */
{
    const hid_t a = H5Acreate2(g, "..", H5T_STD_I64LE, H5Screate(H5S_SCALAR), H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(a, H5T_NATIVE_INT64, (int64_t[]){ 1 });
    H5Aclose(a);
}

/* A file with group "x", as `fill` makes it, and a seal by the documentation. */
static void make_file(const char *path, void (*fill)(hid_t group))
{
    const hid_t create = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_userblock(create, 4096);
    const hid_t f = H5Fcreate(path, H5F_ACC_TRUNC, create, H5P_DEFAULT);
    const hid_t g = H5Gcreate2(f, "x", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert(f >= 0 && g >= 0);
    fill(g);
    H5Gclose(g);
    ck_assert(H5Fclose(f) >= 0);
    H5Pclose(create);
    bytes b = bytes_of(path);
    const uint64_t number[2] = { b.n - 4096, XXH64(b.data + 4096, b.n - 4096, 0) };
    memset(b.data, 0, 4096);
    memcpy(b.data, "\211TGA\r\n\032\n\1\0\0\0\0\20\0\0", 16);
    memcpy(b.data + 16, number, sizeof number);
    bytes_to(path, b.data, b.n);
    free(b.data);
}

START_TEST(refuses_what_it_would_not_write_even_under_a_good_seal)
{
    static const struct {
        const char *name, *says;
        void (*fill)(hid_t group);
    } row[] = {
#define ROW(name, says) { #name, says, name }
        ROW(external_storage, "has its data in another file"),
        ROW(soft_link, "is a link to somewhere else"),
        ROW(soft_link_to_itself, "is a link to somewhere else"),
        ROW(external_link, "is a link to somewhere else"),
        ROW(two_names, "has more than one name"),
        ROW(group_in_itself, "has more than one name"),
        ROW(chunked, "is not stored in one piece"),
        ROW(through_a_filter, "is not stored in one piece"),
        ROW(compact, "is not stored in one piece"),
        ROW(virtual_dataset, "is not stored in one piece"),
        ROW(far_larger_than_the_file, "claims more data than the file has"),
        ROW(never_written, "storage size"),
        ROW(rank_five, "0 to 4 dimensions"),
        ROW(no_space, "0 to 4 dimensions"),
        ROW(big_endian, "is not of type"),
        ROW(sixteen_bits, "is not of type"),
        ROW(a_reference, "is not of type"),
        ROW(ascii_texts, "UTF-8"),
        ROW(padded_ascii_texts, "UTF-8"),
        ROW(terminated_texts, "filled up with zeros"),
        ROW(texts_of_any_length, "fixed length"),
        ROW(a_named_type, "neither a group nor a dataset"),
        ROW(a_short_attribute, "is not of type"),
        ROW(an_attribute_of_many, "more than one value"),
        ROW(an_attribute_of_a_dataset, "attributes of its own"),
        ROW(value_and_array_of_one_name, "is there twice"),
        ROW(too_deep, "too deep"),
        ROW(dots_in_a_name, "cannot be an entry"),
#undef ROW
    };
    tg_archive *a;
    make_file(in_folder("x.h5"), harmless); /* what is refused below is not the way the file is made */
    ck_assert_msg(tg__sealed_load(cx, in_folder("x.h5"), &a) == TG_OK, "%s", tg_context_message(cx));
    ck_assert(tg_archive_has(a, "x/W"));
    tg_archive_free(a);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        make_file(in_folder("x.h5"), row[i].fill);
        const tg_status s = tg__sealed_load(cx, in_folder("x.h5"), &a);
        ck_assert_msg(s == TG_ERR_FORMAT, "%s: %d %s", row[i].name, s, tg_context_message(cx));
        ck_assert_msg(strstr(tg_context_message(cx), row[i].says) != NULL, "%s: %s", row[i].name,
                      tg_context_message(cx));
        ck_assert_ptr_null(a);
    }
    ck_assert(H5Fget_obj_count(H5F_OBJ_ALL, H5F_OBJ_ALL) == 0);
}
END_TEST

static void seal_by_hand(bytes b)
{
    const uint64_t number[2] = { b.n - 4096, XXH64(b.data + 4096, b.n - 4096, 0) };
    memcpy(b.data + 16, number, sizeof number);
}

START_TEST(damage_that_somebody_sealed_anew_does_not_crash_the_reader)
{
    tg_archive *a = tg_archive_new(cx);
    char name[32];
    for (int i = 0; i < 40;
         i++) { /* more than a group's header holds: HDF5 makes a table of links, and of attributes */
        snprintf(name, sizeof name, "group/number %d", i);
        tg_archive_put_integer(a, name, i);
        snprintf(name, sizeof name, "group/array %d", i);
        tg_archive_put_array(a, name, TG_FLOAT32, 1, (int[]){ 1 }, &(float){ 1 });
    }
    ck_assert_int_eq(tg__sealed_save(cx, a, in_folder("x.h5"), false), TG_OK);
    tg_archive_free(a);
    const bytes whole = bytes_of(in_folder("x.h5"));
    unsigned seed = 7;
    int crashes = 0;
    fflush(NULL);
    for (int batch = 0; batch < 20; batch++) { /* a child each, which one crash ends */
        const pid_t child = fork();
        for (int i = 0; i < 25; i++) {
            bytes b = { malloc(whole.n), whole.n };
            memcpy(b.data, whole.data, whole.n);
            for (int k = 0; k < 1 + i % 30; k++) {
                seed = seed * 1664525 + 1013904223;
                b.data[4096 + (seed >> 8) % (whole.n - 4096)] ^= (unsigned char)(1 << (seed >> 4 & 7));
            }
            if (!child) {
                tg_archive *read;
                seal_by_hand(b);
                bytes_to(in_folder("y.h5"), b.data, b.n);
                if (!tg__sealed_load(cx, in_folder("y.h5"), &read)) tg_archive_free(read);
            }
            free(b.data);
        }
        if (!child) _exit(0);
        int status;
        waitpid(child, &status, 0);
        crashes += !WIFEXITED(status) || WEXITSTATUS(status);
    }
    free(whole.data);
    ck_assert_int_eq(crashes, 0);
}
END_TEST

START_TEST(says_nothing_on_the_streams_and_leaves_the_hosts_settings)
{
    H5E_auto2_t before, after;
    void *data;
    unsigned plugins;
    tg_archive *a;
    H5open();
    H5Eget_auto2(H5E_DEFAULT, &before, &data);
    ck_assert(before != NULL); /* HDF5 would print */
    H5PLset_loading_state(H5PL_FILTER_PLUGIN);
    make_file(in_folder("x.h5"), chunked);
    bytes b = bytes_of(in_folder("x.h5"));
    memset(b.data + 4096, 0, 64); /* no HDF5 file at all, under a good seal */
    const uint64_t digest = XXH64(b.data + 4096, b.n - 4096, 0);
    memcpy(b.data + 24, &digest, 8);
    bytes_to(in_folder("y.h5"), b.data, b.n);
    free(b.data);

    fflush(NULL);
    const int kept = dup(2), out = open(in_folder("stderr"), O_RDWR | O_CREAT, 0600);
    dup2(out, 2);
    const tg_status s = tg__sealed_load(cx, in_folder("x.h5"), &a),
                    s2 = tg__sealed_load(cx, in_folder("y.h5"), &a);
    fflush(NULL);
    dup2(kept, 2);
    const off_t printed = lseek(out, 0, SEEK_END);
    close(out);
    close(kept);
    ck_assert_int_eq(s, TG_ERR_FORMAT);
    ck_assert_int_eq(s2, TG_ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(tg_context_message(cx), "cannot be read by HDF5"));
    ck_assert_int_eq(printed, 0);
    H5Eget_auto2(H5E_DEFAULT, &after, &data);
    ck_assert(before == after);
    ck_assert(H5PLget_loading_state(&plugins) >= 0 && plugins == H5PL_FILTER_PLUGIN);
}
END_TEST

TG_TEST_MAIN_FIXTURE("hdf5/hostile", setup, teardown, refuses_what_it_would_not_write_even_under_a_good_seal,
                     damage_that_somebody_sealed_anew_does_not_crash_the_reader,
                     says_nothing_on_the_streams_and_leaves_the_hosts_settings)
