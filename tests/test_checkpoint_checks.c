/* What a checkpoint is checked for: the range of its numbers, its version, its seal. */
#include <math.h>

#include <xxhash.h>

#include "checkpoint_world.h"

/* Overwrites what the file has at the path `where`: element k of a dataset, or an attribute. */
static void edit(const char *where, int k, double value)
{
    const char *slash = strrchr(where, '/');
    char group[128];
    snprintf(group, sizeof group, "/%.*s", (int)(slash - where), where);
    const hid_t f = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    if (k < 0) {
        const hid_t g = H5Gopen2(f, group, H5P_DEFAULT), o = H5Aopen(g, slash + 1, H5P_DEFAULT);
        ck_assert_msg(o >= 0 && H5Awrite(o, H5T_NATIVE_DOUBLE, &value) >= 0, "%s", where);
        H5Aclose(o), H5Gclose(g);
    } else {
        double x[64];
        const hid_t d = H5Dopen2(f, where, H5P_DEFAULT);
        ck_assert(d >= 0 && H5Dread(d, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) >= 0);
        x[k] = value;
        ck_assert(H5Dwrite(d, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) >= 0);
        H5Dclose(d);
    }
    H5Fclose(f);
    ck_assert_int_eq(tg_checkpoint_seal(a.cx, path), TG_OK);
}

START_TEST(moments_states_and_counts_are_checked_like_parameters)
{
    static const struct {
        const char *where;
        int k; /* -1: a value */
        double value;
        tg_status status;
        const char *says;
    } row[] = {
        { "parameters/cell/W_xr", 3, NAN, TG_ERR_NUMBER, "element 3 is nan" },
        { "optimizer/m/cell/W_xr", 2, INFINITY, TG_ERR_NUMBER, "element 2 is inf" },
        { "optimizer/v/cell/b", 4, NAN, TG_ERR_NUMBER, "element 4 is nan" },
        { "optimizer/v/cell/b", 4, -1, TG_ERR_NUMBER, "element 4 is -1" },
        { "training/states/1/h", 7, -INFINITY, TG_ERR_NUMBER, "element 7 is -inf" },
        { "optimizer/steps", -1, -1, TG_ERR_FORMAT, "is -1, out of its range" },
        { "optimizer/steps", -1, 9.1e18, TG_ERR_FORMAT, "out of its range" },
        { "optimizer/lr", -1, -1, TG_ERR_FORMAT, "is -1, out of its range" },
        { "optimizer/lr", -1, INFINITY, TG_ERR_FORMAT, "is inf" },
        { "training/random_step", -1, 9.1e18, TG_ERR_FORMAT, "out of its range" },
        { "training/random_step", -1, -9.1e18, TG_ERR_FORMAT, "out of its range" },
        { "training/step", -1, 9.1e18, TG_ERR_FORMAT, "out of its range" },
        { "training/step", -1, -1, TG_ERR_FORMAT, "is -1" },
        { "training/epoch", -1, 9.1e18, TG_ERR_FORMAT, "out of its range" },
        { "training/position", -1, -5, TG_ERR_FORMAT, "is -5" },
        { "training/bad_streak", -1, 2147483647, TG_ERR_FORMAT, "is 2147483647" },
        { "training/bad_streak", -1, 4294967297, TG_ERR_FORMAT, "is 4294967297" },
        { "training/waited", -1, -1, TG_ERR_FORMAT, "is -1" },
        { "training/validated", -1, 2, TG_ERR_FORMAT, "is 2" },
        { "training/best_step", -1, -1, TG_ERR_FORMAT, "is -1" },
        { "training/sum_loss", -1, NAN, TG_ERR_FORMAT, "is nan" },
        { "training/sum_units", -1, -1, TG_ERR_FORMAT, "is -1" },
        { "training/sum_steps", -1, -1, TG_ERR_FORMAT, "is -1" },
        { "training/schedule/lr", -1, NAN, TG_ERR_FORMAT, "is nan" },
        { "training/schedule/drops", -1, 2147483647, TG_ERR_FORMAT, "is 2147483647" },
        { "training/schedule/bad", -1, -1, TG_ERR_FORMAT, "is -1" },
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        save_a();
        edit(row[i].where, row[i].k, row[i].value);
        refused((run_config){ .seed = 7 }, row[i].status, row[i].where, row[i].says);
    }
    save_a();
    edit("training/best", -1, INFINITY); /* no validation was finite yet */
    edit("training/last_valid", -1, NAN);
    ck_assert_int_eq(tg_checkpoint_load(path, &a.all), TG_OK);
}
END_TEST

START_TEST(what_a_load_would_refuse_is_not_saved)
{
    save_a();
    const bytes before = bytes_of(path);
    tg_real *const number[] = { &tg__optimizer_moment(a.o, 0)[1], &tg__optimizer_moment(a.o, 1)[2],
                                &a.state[1].h->data[3], &a.schedule.lr };
    for (size_t i = 0; i < sizeof number / sizeof *number; i++) {
        const tg_real kept = *number[i];
        *number[i] = (tg_real)NAN;
        ck_assert_int_ne(tg_checkpoint_save(path, &a.all), TG_OK);
        ck_assert_msg(strstr(tg_context_message(a.cx), "nan") && strstr(tg_context_message(a.cx), path), "%s",
                      tg_context_message(a.cx));
        *number[i] = kept;
    }
    a.progress.waited = -1;
    ck_assert_int_eq(tg_checkpoint_save(path, &a.all), TG_ERR_FORMAT);
    const bytes after = bytes_of(path);
    ck_assert(same_bytes(before, after));
    free(before.data), free(after.data);
}
END_TEST

START_TEST(a_newer_format_is_refused_with_its_version_and_not_as_damage)
{
    tg_archive *f;
    save_a();
    bytes b = bytes_of(path);
    b.data[8] = 7;
    bytes_to(path, b.data, b.n);
    free(b.data);
    ck_assert_int_eq(tg_checkpoint_read(a.cx, path, &f), TG_ERR_VERSION);
    ck_assert_ptr_nonnull(strstr(tg_context_message(a.cx), "of format 7; this library reads format 1"));
    ck_assert_int_eq(tg_checkpoint_seal(a.cx, path), TG_ERR_VERSION); /* it would become an old one */
    save_a();
    const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT),
                o = H5Aopen_by_name(file, "/", "format_version", H5P_DEFAULT, H5P_DEFAULT);
    ck_assert(H5Awrite(o, H5T_NATIVE_INT64, (int64_t[]){ 2 }) >= 0);
    H5Aclose(o), H5Fclose(file);
    ck_assert_int_eq(tg_checkpoint_seal(a.cx, path), TG_ERR_VERSION);
    ck_assert_ptr_nonnull(strstr(tg_context_message(a.cx), "of format 2; this library reads format 1"));
    b = bytes_of(path);
    const uint64_t number[2] = { b.n - 4096, XXH64(b.data + 4096, b.n - 4096, 0) };
    memcpy(b.data + 16, number, sizeof number);
    bytes_to(path, b.data, b.n);
    free(b.data);
    ck_assert_int_eq(tg_checkpoint_read(a.cx, path, &f), TG_ERR_VERSION);
}
END_TEST

START_TEST(a_seal_is_not_made_anew_where_more_than_the_content_was_changed)
{
    save_a();
    const bytes whole = bytes_of(path);
    static const size_t at[] = { 0, 5, 8, 12, 32, 4095 }; /* what no edit of the content touches */
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        whole.data[at[i]] ^= 1;
        bytes_to(path, whole.data, whole.n);
        const tg_status s = tg_checkpoint_seal(a.cx, path);
        ck_assert_msg(s == TG_ERR_DAMAGED || s == TG_ERR_FORMAT, "byte %zu: %d", at[i], s);
        whole.data[at[i]] ^= 1;
    }
    free(whole.data);
}
END_TEST

TG_TEST_MAIN_FIXTURE("checkpoint/checks", setup, teardown,
                     moments_states_and_counts_are_checked_like_parameters,
                     what_a_load_would_refuse_is_not_saved,
                     a_newer_format_is_refused_with_its_version_and_not_as_damage,
                     a_seal_is_not_made_anew_where_more_than_the_content_was_changed)
