/* What a checkpoint brings back, and what it refuses to. */
#include <float.h>
#include <math.h>

#include <tidegate/blas.h>

#include "checkpoint_world.h"

START_TEST(brings_everything_back_and_training_goes_on_with_the_same_bits)
{
    static const char *const optimizer[] = { "sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop" };
    for (size_t i = 0; i < sizeof optimizer / sizeof *optimizer; i++) {
        run one, b;
        run_new(&one, (run_config){ .seed = 7, .optimizer = optimizer[i] });
        run_new(&b, (run_config){ .seed = 7, .optimizer = optimizer[i] });
        run_on(&one, 5);
        tg_optimizer_set_rate(one.o, (tg_real)0.02);
        ck_assert(!same_run(&one, &b)); /* the comparison can tell */
        ck_assert_int_eq(tg_checkpoint_save(in_folder("x.h5"), &one.all), TG_OK);
        ck_assert_msg(tg_checkpoint_load(in_folder("x.h5"), &b.all) == TG_OK, "%s", tg_context_message(b.cx));
        ck_assert(same_run(&one, &b));
        ck_assert(tg_context_step(b.cx) == 5 && tg_optimizer_steps(b.o) == 5 &&
                  tg_optimizer_rate(b.o) == (tg_real)0.02);
        const tg_progress *p =
            &b.progress; /* as run_on() sets them: a field left out of both would not show above */
        ck_assert(p->step == 5 && p->epoch == 2 && p->position == 3 && p->skipped == 4 &&
                  p->bad_streak == 5 && p->validated);
        ck_assert(p->best == 0.1 && p->best_step == 6 && p->waited == 7 && p->last_valid == 0.3 &&
                  p->sum_loss == 1.25);
        ck_assert(p->sum_units == 17 && p->sum_norm == 0.7 && p->sum_steps == 8);
        const tg_schedule *q = &b.schedule;
        ck_assert(q->kind == TG_PLATEAU && q->lr == (tg_real)0.1 && q->warmup == 9 && q->period == 10);
        ck_assert(q->gamma == (tg_real)0.3 && q->min == (tg_real)1e-5 && q->patience == 11);
        ck_assert(q->best == 0.7 && q->bad == 12 && q->drops == 13 && q->seen);
        ck_assert(!memcmp(b.ps->value, one.ps->value, one.ps->flat * sizeof(tg_real)));
        ck_assert(!memcmp(b.state[1].h->data, one.state[1].h->data, 8 * sizeof(tg_real)));
        run_on(&one, 5);
        run_on(&b, 5);
        ck_assert(same_run(&one, &b));
        run_free(&one);
        run_free(&b);
    }
}
END_TEST

START_TEST(the_same_state_gives_the_same_bytes)
{
    const bytes x = run_bytes(&a), y = run_bytes(&a);
    ck_assert(same_bytes(x, y));
    free(x.data);
    free(y.data);
}
END_TEST

START_TEST(stands_in_the_file_where_the_documentation_says)
{
    static const char *const there[] = {
        "format",
        "format_version",
        "library_version",
        "precision",
        "task",
        "parameters/cell/W_xz",
        "parameters/cell/W_xr",
        "parameters/cell/W_xg",
        "parameters/cell/b",
        "parameters/temperature",
        "optimizer/kind",
        "optimizer/lr",
        "optimizer/steps",
        "optimizer/beta1",
        "optimizer/beta2",
        "optimizer/epsilon",
        "optimizer/weight_decay",
        "optimizer/m/cell/W_xz",
        "optimizer/v/temperature",
        "training/seed",
        "training/random_step",
        "training/step",
        "training/epoch",
        "training/position",
        "training/skipped",
        "training/bad_streak",
        "training/validated",
        "training/best",
        "training/best_step",
        "training/waited",
        "training/last_valid",
        "training/sum_loss",
        "training/sum_units",
        "training/sum_norm",
        "training/sum_steps",
        "training/schedule/kind",
        "training/schedule/lr",
        "training/schedule/warmup",
        "training/schedule/period",
        "training/schedule/gamma",
        "training/schedule/min",
        "training/schedule/patience",
        "training/schedule/best",
        "training/schedule/bad",
        "training/schedule/drops",
        "training/schedule/seen",
        "training/states/0/h",
        "training/states/1/h",
        "run/openblas_version",
        "run/openblas_core",
        "run/simd_variant",
    };
    tg_archive *f;
    tg_real W[12];
    const char *text;
    int64_t n;
    save_a();
    ck_assert_int_eq(tg_checkpoint_read(a.cx, path, &f), TG_OK);
    for (size_t i = 0; i < sizeof there / sizeof *there; i++)
        ck_assert_msg(tg_archive_has(f, there[i]), "%s", there[i]);
    ck_assert_int_eq(tg_archive_count(f),
                     (int)(sizeof there / sizeof *there) + 8); /* 2 moments of 5 parameters: 2 are listed */
    ck_assert(!tg_archive_get_text(f, "format", &text) && !strcmp(text, "tidegate"));
    ck_assert(!tg_archive_get_text(f, "precision", &text) &&
              !strcmp(text, TG_DOUBLE ? "float64" : "float32"));
    ck_assert(!tg_archive_get_text(f, "task", &text) && !strcmp(text, "test"));
    ck_assert(!tg_archive_get_text(f, "optimizer/kind", &text) && !strcmp(text, "adam"));
    ck_assert(!tg_archive_get_text(f, "training/schedule/kind", &text) &&
              !strcmp(text, tg_schedule_name(TG_PLATEAU)));
    ck_assert(!tg_archive_get_text(f, "run/openblas_core", &text) && !strcmp(text, tg_blas_core()));
    ck_assert(!tg_archive_get_integer(f, "training/seed", &n) && n == 7);
    /* one dataset a gate, by the equations' names, whatever the layout in memory */
    ck_assert_int_eq(tg_archive_get_array(f, "parameters/cell/W_xr", TG_DOUBLE ? TG_FLOAT64 : TG_FLOAT32, 2,
                                          (int[]){ 3, 4 }, W),
                     TG_OK);
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 4; k++) ck_assert(W[4 * i + k] == a.ps->first->x.data[12 * i + 4 + k]);
    tg_archive_free(f);
}
END_TEST

/* A set that nobody has used yet, so that it has no values. */
static tg_params *unused_set(tg_context *cx, int n)
{
    tg_params *ps = tg_params_new(cx);
    tg_parameter_new(ps, "w", 1, (int[]){ n }, (tg_init){ .kind = TG_INIT_UNIFORM });
    tg_parameter_new(ps, "v", 2, (int[]){ 3, 2 }, (tg_init){ .kind = TG_INIT_ORTHOGONAL });
    return ps;
}

static void expect_equal_values(tg_params *one, tg_params *other)
{
    tg_real w[2][5], v[2][6];
    ck_assert(!tg_params_get(one, "w", w[0], 5) && !tg_params_get(other, "w", w[1], 5));
    ck_assert(!tg_params_get(one, "v", v[0], 6) && !tg_params_get(other, "v", v[1], 6));
    ck_assert(w[0][0] != 0 && v[0][0] != 0);
    ck_assert(!memcmp(w[0], w[1], sizeof w[0]) && !memcmp(v[0], v[1], sizeof v[0]));
}

START_TEST(a_set_that_was_not_used_yet_takes_the_files_values)
{
    tg_context *cx = tg_context_new(&(tg_context_config){ .seed = 1 }),
               *other = tg_context_new(&(tg_context_config){ .seed = 2 });
    tg_params *saved = unused_set(cx, 5), *loaded = unused_set(other, 5);
    ck_assert_int_eq(tg_checkpoint_save(in_folder("p.h5"), &(tg_checkpoint){ .params = saved }), TG_OK);
    ck_assert_int_eq(tg_checkpoint_load(in_folder("p.h5"), &(tg_checkpoint){ .params = loaded }), TG_OK);
    expect_equal_values(saved, loaded);
    tg_parameter_new(loaded, "late", 1, (int[]){ 1 }, (tg_init){ .kind = TG_INIT_ZEROS });
    ck_assert_int_eq(tg_context_status(other), TG_ERR_STATE);
    tg_params_free(saved), tg_params_free(loaded);
    tg_context_free(cx), tg_context_free(other);
}
END_TEST

START_TEST(a_set_that_was_not_used_yet_has_its_initial_values_when_loading_fails)
{
    tg_context *cx = tg_context_new(&(tg_context_config){ .seed = 3 });
    tg_params *saved = unused_set(cx, 4), *one = unused_set(cx, 5), *same = unused_set(cx, 5);
    ck_assert_int_eq(tg_checkpoint_save(in_folder("q.h5"), &(tg_checkpoint){ .params = saved }), TG_OK);
    ck_assert_int_eq(tg_checkpoint_load(in_folder("q.h5"), &(tg_checkpoint){ .params = one }), TG_ERR_SHAPE);
    expect_equal_values(one, same);
    tg_params_free(saved), tg_params_free(one), tg_params_free(same);
    tg_context_free(cx);
}
END_TEST

START_TEST(what_is_null_is_left_out_and_left_alone)
{
    run b;
    run_new(&b, (run_config){ .seed = 8 }); /* another seed: fine for parameters alone */
    tg_archive *f;
    ck_assert_int_eq(tg_checkpoint_save(path, &(tg_checkpoint){ .params = a.ps }), TG_OK);
    ck_assert_int_eq(tg_checkpoint_read(a.cx, path, &f), TG_OK);
    ck_assert(tg_archive_has(f, "parameters/cell/b") && !tg_archive_has(f, "optimizer/kind") &&
              !tg_archive_has(f, "training/epoch"));
    ck_assert(!tg_archive_has(f, "training/schedule/kind") && !tg_archive_has(f, "training/states/0/h"));
    const char *task;
    ck_assert(!tg_archive_get_text(f, "task", &task) && !strcmp(task, "custom"));
    tg_archive_free(f);

    const char *full = in_folder("full.h5");
    ck_assert_int_eq(tg_checkpoint_save(full, &a.all), TG_OK);
    ck_assert_int_eq(tg_checkpoint_load(full, &(tg_checkpoint){ .params = b.ps }), TG_OK);
    ck_assert(!memcmp(b.ps->value, a.ps->value, a.ps->flat * sizeof(tg_real)));
    ck_assert(tg_context_step(b.cx) == 0 && tg_optimizer_steps(b.o) == 0 && b.progress.step == 0);

    /* asked for, and not in the file */
    const tg_checkpoint ask[] = { { .optimizer = b.o },
                                  { .params = b.ps, .progress = &b.progress },
                                  { .params = b.ps, .schedule = &b.schedule },
                                  { .states = b.state } };
    static const char *const names[] = { "optimizer/kind", "training/", "training/schedule/kind",
                                         "training/states/0/h" };
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(tg_checkpoint_load(path, &ask[i]), i == 1 ? TG_ERR_STATE : TG_ERR_FORMAT);
        if (i != 1)
            ck_assert_msg(strstr(tg_context_message(b.cx), names[i]) != NULL, "%s", tg_context_message(b.cx));
    }
    run_free(&b);
}
END_TEST

START_TEST(one_state_is_saved_without_saying_so)
{
    ck_assert_int_eq(tg_checkpoint_save(path, &(tg_checkpoint){ .states = a.state }), TG_OK);
    tg_archive *f;
    ck_assert_int_eq(tg_checkpoint_read(a.cx, path, &f), TG_OK);
    ck_assert(tg_archive_has(f, "training/states/0/h") && !tg_archive_has(f, "training/states/1/h"));
    tg_archive_free(f);
}
END_TEST

START_TEST(load_of_another_model_changes_nothing_and_names_it)
{
    const char *numbers = TG_DOUBLE ? "float64" : "float32";
    char there[40], here[40];
    save_a();
    snprintf(there, sizeof there, "%s (3,4)", numbers);
    snprintf(here, sizeof here, "%s (6,4)", numbers);
    refused((run_config){ .seed = 7, .inputs = 6 }, TG_ERR_SHAPE, there, here);
    refused((run_config){ .seed = 7, .inputs = 6 }, TG_ERR_SHAPE, "'parameters/cell/W_xz'", here);
    refused((run_config){ .seed = 7, .more = true }, TG_ERR_FORMAT, "there is no dataset 'parameters/out/b'",
            "(2)");
    refused((run_config){ .seed = 7, .less = true }, TG_ERR_FORMAT, "'parameters/cell/b'",
            "no place in this model");
    refused((run_config){ .seed = 7, .batch = 3 }, TG_ERR_SHAPE, "'training/states/0/h'", "(1,3,4)");
    refused((run_config){ .seed = 7, .optimizer = "sgd" }, TG_ERR_FORMAT, "'adam'", "'sgd'");
    refused((run_config){ .seed = 8 }, TG_ERR_STATE, "7", "8");
    a.all.n_states = 1;
    save_a();
    refused((run_config){ .seed = 7 }, TG_ERR_FORMAT, "there is no dataset 'training/states/1/h'", "(1,2,4)");
}
END_TEST

START_TEST(load_of_an_optimizer_with_other_moments_changes_nothing)
{
    for (int k = 0; k < 2; k++) { /* a file with momentum, an optimizer without, and the other way round */
        run from, to;
        run *const with = k ? &to : &from;
        run_new(&from, (run_config){ .seed = 7 }), run_new(&to, (run_config){ .seed = 7 });
        from.o = from.all.optimizer = tg_rmsprop_new(from.ps, NULL);
        to.o = to.all.optimizer = tg_rmsprop_new(to.ps, NULL);
        with->o = with->all.optimizer =
            tg_rmsprop_new(with->ps, &(tg_rmsprop_config){ .momentum = (tg_real)0.9 });
        run_on(&from, 3), run_on(&to, 2);
        ck_assert_int_eq(tg_checkpoint_save(path, &from.all), TG_OK);
        const bytes before = run_bytes(&to);
        ck_assert_int_eq(tg_checkpoint_load(path, &to.all), TG_ERR_FORMAT);
        ck_assert_msg(strstr(tg_context_message(to.cx), "'optimizer/momentum/") != NULL, "%s",
                      tg_context_message(to.cx));
        const bytes after = run_bytes(&to);
        ck_assert(same_bytes(before, after));
        free(before.data), free(after.data);
        run_free(&from), run_free(&to);
    }
}
END_TEST

/* A copy of f without one entry. */
static tg_archive *without(tg_context *cx, const tg_archive *f, const char *left_out)
{
    tg_archive *g = tg_archive_new(cx);
    for (int i = 0; i < tg_archive_count(f); i++) {
        tg_entry e;
        tg_archive_entry(f, i, &e);
        if (!strcmp(e.path, left_out)) continue;
        if (e.array)
            tg_archive_put_array(g, e.path, e.type, e.rank, e.dim, e.data);
        else if (e.type == TG_TEXT)
            tg_archive_put_text(g, e.path, e.data);
        else if (e.type == TG_INT64)
            tg_archive_put_integer(g, e.path, *(const int64_t *)e.data);
        else
            tg_archive_put_number(g, e.path, *(const double *)e.data);
    }
    ck_assert_int_eq(tg_archive_status(g), TG_OK);
    return g;
}

static void restore_refused(run *b, tg_archive *g, const char *what, const char *word)
{
    const bytes before = run_bytes(b);
    ck_assert_int_eq(tg_archive_status(g), TG_OK);
    const tg_status s = tg_checkpoint_restore(g, &b->all);
    ck_assert_msg(s == TG_ERR_FORMAT && strstr(tg_context_message(b->cx), word), "%s: %d: %s", what, s,
                  tg_context_message(b->cx));
    const bytes after = run_bytes(b);
    ck_assert(same_bytes(before, after));
    free(before.data);
    free(after.data);
    tg_archive_free(g);
}

START_TEST(a_missing_or_changed_entry_changes_nothing_and_is_named)
{
    run b;
    tg_archive *f, *g;
    tg_entry e;
    run_new(&b, (run_config){ .seed = 7 });
    save_a();
    ck_assert_int_eq(tg_checkpoint_read(b.cx, path, &f), TG_OK);
    for (int i = 0; i < tg_archive_count(f); i++) {
        tg_archive_entry(f, i, &e);
        const bool informative =
            !strncmp(e.path, "run/", 4) || !strcmp(e.path, "task") || !strcmp(e.path, "library_version") ||
            strstr("optimizer/beta1 optimizer/beta2 optimizer/epsilon optimizer/weight_decay", e.path);
        g = without(b.cx, f, e.path);
        if (informative) {
            ck_assert_msg(tg_checkpoint_restore(g, &b.all) == TG_OK, "%s", e.path);
            tg_archive_free(g);
            continue;
        }
        restore_refused(&b, g, e.path, e.path);
        g = without(b.cx, f, e.path); /* now as what no entry is */
        tg_archive_put_array(g, e.path, TG_BYTES, 1, (int[]){ 1 }, "x");
        restore_refused(&b, g, e.path, e.path);
    }
    const struct {
        const char *path, *word;
        int64_t value;
    } integer[] = { { "format_version", "format_version", 0 },
                    { "training/bad_streak", "4294967296", (int64_t)1 << 32 },
                    { "training/validated", "is 2", 2 },
                    { "optimizer/steps", "is -1", -1 } };
    for (size_t i = 0; i < sizeof integer / sizeof *integer; i++) {
        g = without(b.cx, f, integer[i].path);
        tg_archive_put_integer(g, integer[i].path, integer[i].value);
        restore_refused(&b, g, integer[i].path, integer[i].word);
    }
    static const char *const text[][3] = { { "format", "otherwise", "'tidegate'" },
                                           { "precision", TG_DOUBLE ? "float32" : "float64",
                                             "libtidegate-double" },
                                           { "training/schedule/kind", "zigzag", "'zigzag'" } };
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        g = without(b.cx, f, text[i][0]);
        tg_archive_put_text(g, text[i][0], text[i][1]);
        restore_refused(&b, g, text[i][0], text[i][2]);
    }
    g = without(b.cx, f, "");
    tg_archive_put_array(g, "optimizer/m/stray", TG_BYTES, 1, (int[]){ 1 }, "x");
    restore_refused(&b, g, "a stray moment", "'optimizer/m/stray'");
    g = without(b.cx, f, "");
    tg_archive_put_array(g, "training/states/2/h", TG_BYTES, 1, (int[]){ 1 }, "x");
    restore_refused(&b, g, "a stray state", "more than the 2 states");
    g = without(b.cx, f, "optimizer/lr");
    tg_archive_put_number(g, "optimizer/lr", NAN);
    restore_refused(&b, g, "optimizer/lr", "nan");
    g = without(b.cx, f, "");
    ck_assert_int_eq(tg_checkpoint_restore(g, &b.all), TG_OK); /* the copy itself is good */
    ck_assert(same_run(&a, &b));
    tg_archive_free(g);
    tg_archive_free(f);
    run_free(&b);
}
END_TEST

START_TEST(parameters_that_are_not_finite_are_refused_both_ways)
{
    run b;
    run_new(&b, (run_config){ .seed = 7 });
    save_a();
    const bytes good = bytes_of(path);
    const tg_real kept = a.ps->first->x.data[12 + 9];
    a.ps->first->x.data[12 + 9] = (tg_real)NAN; /* row 1, column 1 of W_xg */
    ck_assert_int_eq(tg_checkpoint_save(path, &a.all), TG_ERR_NUMBER);
    ck_assert_ptr_nonnull(strstr(tg_context_message(a.cx), "'cell/W_xg' is nan at element 5 of 12"));
    const bytes still = bytes_of(path);
    ck_assert(same_bytes(good, still));
    ck_assert_int_eq(folder_count(), 1);

    a.all.allow_nonfinite = true;
    save_a();
    const bytes before = run_bytes(&b);
    ck_assert_int_eq(tg_checkpoint_load(path, &b.all), TG_ERR_NUMBER);
    ck_assert_ptr_nonnull(strstr(tg_context_message(b.cx), "'parameters/cell/W_xg': element 5 is nan"));
    const bytes after = run_bytes(&b);
    ck_assert(same_bytes(before, after));
    b.all.allow_nonfinite = true;
    ck_assert_int_eq(tg_checkpoint_load(path, &b.all), TG_OK);
    ck_assert(isnan(b.ps->first->x.data[12 + 9]));
    a.ps->first->x.data[12 + 9] = kept;
    free(good.data), free(still.data), free(before.data), free(after.data);
    run_free(&b);
}
END_TEST

START_TEST(also_is_saved_beside_and_may_not_stand_in_the_way)
{
    tg_archive *f, *also = tg_archive_new(a.cx);
    const char *const *word;
    int n;
    tg_archive_put_integer(also, "model/hidden", 4);
    tg_archive_put_number(also, "run/seconds", 1.5);
    tg_archive_put_text(also, "model/cell", "gru");
    tg_archive_put_texts(also, "vocabulary/source", 2, (const char *const[]){ "a", "b" });
    tg_archive_put_array(also, "data/x", TG_INT32, 1, (int[]){ 1 }, (int32_t[]){ 3 });
    a.all.also = also;
    save_a();
    ck_assert_int_eq(tg_checkpoint_read(a.cx, path, &f), TG_OK);
    ck_assert(tg_archive_has(f, "model/hidden") && tg_archive_has(f, "model/cell") &&
              tg_archive_has(f, "data/x"));
    ck_assert(!tg_archive_get_texts(f, "vocabulary/source", &n, &word) && n == 2 && !strcmp(word[1], "b"));
    run b;
    run_new(&b, (run_config){ .seed = 7 });
    ck_assert_msg(tg_checkpoint_restore(f, &b.all) == TG_OK, "%s",
                  tg_context_message(b.cx)); /* it is not in the way */
    run_free(&b);
    tg_archive_free(f);
    tg_archive_free(also);

    static const char *const bad[] = { "parameters/more", "optimizer/m/more", "training/states/2/h", "format",
                                       "training/seed" };
    for (int i = 0; i < 5; i++) {
        a.all.also = also = tg_archive_new(a.cx);
        tg_archive_put_integer(also, bad[i], 1);
        ck_assert_int_eq(tg_checkpoint_save(in_folder("bad.h5"), &a.all),
                         i < 3 ? TG_ERR_ARGUMENT : TG_ERR_EXISTS);
        ck_assert_msg(strstr(tg_context_message(a.cx), bad[i]) != NULL, "%s", tg_context_message(a.cx));
        tg_archive_free(also);
    }
    a.all.also = also = tg_archive_new(a.cx);
    tg_archive_put_integer(also, "", 1);
    ck_assert_int_eq(tg_checkpoint_save(in_folder("bad.h5"), &a.all), TG_ERR_ARGUMENT); /* its own failure */
    tg_archive_free(also);
    ck_assert_int_eq(folder_count(), 1);
}
END_TEST

START_TEST(keep_previous_keeps_the_one_before)
{
    a.all.keep_previous = true;
    save_a();
    const bytes first = bytes_of(path);
    run_on(&a, 1);
    save_a();
    const bytes kept = bytes_of(in_folder("x.h5.1")), second = bytes_of(path);
    ck_assert(same_bytes(first, kept) && !same_bytes(first, second));
    free(first.data), free(kept.data), free(second.data);
}
END_TEST

START_TEST(an_edit_by_hand_is_found_and_can_be_sealed)
{
    tg_real value = (tg_real)0.75;
    save_a();
    ck_assert_int_eq(tg_checkpoint_verify(a.cx, path), TG_OK);
    const hid_t f = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT),
                d = H5Dopen2(f, "/parameters/temperature", H5P_DEFAULT);
    ck_assert(H5Dwrite(d, TG_DOUBLE ? H5T_NATIVE_DOUBLE : H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                       &value) >= 0);
    H5Dclose(d);
    H5Fclose(f);
    ck_assert_int_eq(tg_checkpoint_verify(a.cx, path), TG_ERR_DAMAGED);
    refused((run_config){ .seed = 7 }, TG_ERR_DAMAGED, "is damaged", "");
    ck_assert_int_eq(tg_checkpoint_seal(a.cx, path), TG_OK);
    ck_assert_int_eq(tg_checkpoint_verify(a.cx, path), TG_OK);
    ck_assert_int_eq(tg_checkpoint_load(path, &a.all), TG_OK);
    tg_real now = 0;
    ck_assert(!tg_params_get(a.ps, "temperature", &now, 1) && now == value);
    ck_assert_int_eq(folder_count(), 1);
}
END_TEST

START_TEST(other_files_are_no_checkpoints)
{
    tg_archive *f;
    ck_assert_int_eq(tg_checkpoint_load(in_folder("none.h5"), &a.all), TG_ERR_ABSENT);
    ck_assert_int_eq(tg_checkpoint_verify(a.cx, in_folder("none.h5")), TG_ERR_ABSENT);
    ck_assert_int_eq(tg_checkpoint_read(a.cx, in_folder("none.h5"), &f), TG_ERR_ABSENT);
    ck_assert_ptr_null(f);
    bytes_to(in_folder("text"), "one\ttwo\n", 8);
    ck_assert_int_eq(tg_checkpoint_load(in_folder("text"), &a.all), TG_ERR_FORMAT);
    ck_assert_int_eq(tg_checkpoint_seal(a.cx, in_folder("text")), TG_ERR_FORMAT);
    const hid_t h = H5Fcreate(in_folder("plain.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(h);
    ck_assert_int_eq(tg_checkpoint_load(in_folder("plain.h5"), &a.all), TG_ERR_FORMAT);
    ck_assert_int_eq(tg_checkpoint_seal(a.cx, in_folder("plain.h5")), TG_ERR_FORMAT);
    const hid_t list = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_userblock(list, 4096);
    H5Fclose(H5Fcreate(in_folder("block.h5"), H5F_ACC_TRUNC, list, H5P_DEFAULT)); /* readable, but not ours */
    H5Pclose(list);
    ck_assert_int_eq(tg_checkpoint_seal(a.cx, in_folder("block.h5")), TG_ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(tg_context_message(a.cx), "is no checkpoint"));
}
END_TEST

START_TEST(wrong_use_is_an_error)
{
    run b;
    run_new(&b, (run_config){ .seed = 7 });
    save_a();
    ck_assert_int_eq(tg_checkpoint_save(path, &(tg_checkpoint){ .task = "nothing" }), TG_ERR_ARGUMENT);
    ck_assert_int_eq(tg_checkpoint_load(path, &(tg_checkpoint){ .task = "nothing" }), TG_ERR_ARGUMENT);
    ck_assert_int_eq(tg_checkpoint_save("", &a.all), TG_ERR_ARGUMENT);
    ck_assert_int_eq(tg_checkpoint_save(NULL, &a.all), TG_ERR_ARGUMENT);
    ck_assert_int_eq(tg_checkpoint_load(NULL, &a.all), TG_ERR_ARGUMENT);
    ck_assert_int_eq(tg_checkpoint_verify(a.cx, NULL), TG_ERR_ARGUMENT);
    ck_assert_int_eq(tg_checkpoint_seal(a.cx, NULL), TG_ERR_ARGUMENT);
    ck_assert_int_eq(tg_checkpoint_restore(NULL, &a.all), TG_ERR_ARGUMENT);
    ck_assert_int_eq(tg_checkpoint_save(path, &(tg_checkpoint){ .params = a.ps, .optimizer = b.o }),
                     TG_ERR_ARGUMENT);
    ck_assert_int_eq(
        tg_checkpoint_save(path, &(tg_checkpoint){ .params = a.ps, .states = a.state, .n_states = -1 }),
        TG_ERR_ARGUMENT);
    ck_assert_int_eq(
        tg_checkpoint_save(path, &(tg_checkpoint){ .params = a.ps, .states = (tg_state[]){ { NULL } } }),
        TG_ERR_ARGUMENT);

    tg_params *shared = tg_params_share(b.cx, a.ps);
    tg_parameter_new(shared, "cell/b", 1, (int[]){ 5 }, (tg_init){ .kind = TG_INIT_ZEROS });
    ck_assert_int_eq(tg_checkpoint_load(path, &(tg_checkpoint){ .params = shared }), TG_ERR_STATE);

    tg_context_fail(b.cx, TG_ERR_DATA, "an earlier failure");
    ck_assert_int_eq(tg_checkpoint_save(in_folder("b.h5"), &b.all),
                     TG_ERR_DATA); /* a context in error does nothing */
    ck_assert_int_eq(tg_checkpoint_load(path, &b.all), TG_ERR_DATA);
    ck_assert_int_eq(tg_checkpoint_verify(b.cx, path), TG_ERR_DATA);
    ck_assert_int_eq(tg_checkpoint_seal(b.cx, path), TG_ERR_DATA);
    ck_assert_int_eq(folder_count(), 1);
    ck_assert_str_eq(tg_context_message(b.cx), "an earlier failure");
    run_free(&b);
}
END_TEST

TG_TEST_MAIN_FIXTURE("checkpoint/roundtrip", setup, teardown,
                     brings_everything_back_and_training_goes_on_with_the_same_bits,
                     the_same_state_gives_the_same_bytes, stands_in_the_file_where_the_documentation_says,
                     a_set_that_was_not_used_yet_takes_the_files_values,
                     a_set_that_was_not_used_yet_has_its_initial_values_when_loading_fails,
                     what_is_null_is_left_out_and_left_alone, one_state_is_saved_without_saying_so,
                     load_of_another_model_changes_nothing_and_names_it,
                     load_of_an_optimizer_with_other_moments_changes_nothing,
                     a_missing_or_changed_entry_changes_nothing_and_is_named,
                     parameters_that_are_not_finite_are_refused_both_ways,
                     also_is_saved_beside_and_may_not_stand_in_the_way, keep_previous_keeps_the_one_before,
                     an_edit_by_hand_is_found_and_can_be_sealed, other_files_are_no_checkpoints,
                     wrong_use_is_an_error)
