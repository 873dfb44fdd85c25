/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A process that maps and registers P2P memory of the scene's provider while a
 * debug switch holds it somewhere on the way. It tells 'm' when ibv_reg_mr()
 * has returned, and gives everything back when it hears 'x'.
 */
#ifndef REVPIN_REGISTRAR_H
#define REVPIN_REGISTRAR_H

#include <stdbool.h>

/* In memory that is shared (worker_shared()). */
struct registrar {
	bool (*place)(void);		/* called before ibv_reg_mr(), or NULL */
	volatile bool left;		/* ibv_reg_mr() */
	volatile bool got;		/* an MR */
	volatile int err;		/* errno, without one */
};

/* For worker_start(), with a struct registrar. */
int registrar(int fd, void *arg);

#endif
