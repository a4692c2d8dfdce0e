/* ops/op.h -- what the ops of this floor share. */
#ifndef OPS_OP_H
#define OPS_OP_H

#include "tensor/tape.h"

enum { OP_PIECE = 1 << 14 }; /* elements that one worker takes at a time */

#endif
