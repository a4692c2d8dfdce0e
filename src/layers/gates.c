/* layers/gates.c -- see gates.h. */
#include "layers/gates.h"

tg_tensor *tg__declare_gates(tg_params *ps, const char *path, gates which, int rows, int H)
{
    static const struct {
        const char *name[3];
        tg_initializer init;
    } table[] = {
        [GATES_INPUT] = { { "W_xz", "W_xr", "W_xg" }, TG_INIT_GLOROT },
        [GATES_RECURRENT] = { { "W_hz", "W_hr", "W_hg" }, TG_INIT_ORTHOGONAL },
        [GATES_BIAS] = { { "b_z", "b_r", "b_g" }, TG_INIT_ZEROS },
        [GATES_RECURRENT_BIAS] = { { "b_hz", "b_hr", "b_hg" }, TG_INIT_ZEROS },
    };
    param_view_spec view[3];
    for (int i = 0; i < 3; i++)
        view[i] = (param_view_spec){ table[which].name[i], i * H, H, { table[which].init, 0 } };
    return tg__params_declare(ps, path, rows ? 2 : 1, rows ? (int[]){ rows, 3 * H } : (int[]){ 3 * H }, 3,
                              view);
}
