// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Registers memory of the first provider with the first RDMA device and waits
 * to be told that it was revoked: try "revpin unbind" meanwhile.
 */
#include <errno.h>
#include <revpin.h>
#include <stdio.h>
#include <string.h>

#define LEN	((size_t)1 << 20)

/* example: begin */
static void on_revoke(const struct revpin_event *event, void *arg)
{
	struct revpin_mr **mr = arg;

	printf("lkey 0x%x was revoked\n", revpin_event_lkey(event));
	/*
	 * Requests that use it end with an error from now on. Its key stays
	 * reserved until it is deregistered.
	 */
	if (revpin_event_mr(event) == *mr) {
		revpin_mr_dereg(*mr);
		*mr = NULL;
	}
}

static int serve(struct ibv_context *ctx, struct ibv_pd *pd,
		 struct revpin_mem *mem)
{
	struct revpin_notify *notify;
	struct revpin_mr *mr;
	int err;

	/* before there is anything that can be revoked */
	err = revpin_notify_open(&notify);
	if (err)
		return err;
	revpin_notify_callback(notify, on_revoke, &mr);
	err = revpin_notify_add_verbs(notify, ctx);
	if (err)
		goto close;
	err = revpin_mr_reg(pd, mem, 0, revpin_mem_len(mem),
			    IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE,
			    &mr);
	if (err)
		goto close;
	printf("registered, lkey 0x%x\n", revpin_mr_verbs(mr)->lkey);
	fflush(stdout);
	/* a program with more to do polls revpin_notify_fd() with the rest */
	while (mr && (err = revpin_notify_dispatch(notify, -1)) >= 0)
		;
	err = err < 0 ? err : 0;
	revpin_mr_dereg(mr);
close:
	revpin_notify_close(notify);
	return err;
}
/* example: end */

static int on_device(struct ibv_context *ctx)
{
	struct revpin_provider **list = NULL;
	struct revpin_mem *mem = NULL;
	struct ibv_pd *pd;
	int err;

	pd = ibv_alloc_pd(ctx);
	if (!pd)
		return -errno;
	err = revpin_provider_list(&list);
	if (err == 0)
		err = -ENODEV;
	if (err > 0)
		err = revpin_mem_map(list[0], LEN, &mem);
	if (!err)
		err = serve(ctx, pd, mem);
	revpin_mem_unmap(mem);
	revpin_provider_list_free(list);
	ibv_dealloc_pd(pd);
	return err;
}

int main(void)
{
	struct ibv_device **devices;
	struct ibv_context *ctx = NULL;
	int err = -ENODEV;

	devices = ibv_get_device_list(NULL);
	if (devices && devices[0])
		ctx = ibv_open_device(devices[0]);
	if (ctx) {
		err = on_device(ctx);
		ibv_close_device(ctx);
	}
	if (devices)
		ibv_free_device_list(devices);
	if (err)
		fprintf(stderr, "told: %s\n", strerror(-err));
	return err ? 1 : 0;
}
