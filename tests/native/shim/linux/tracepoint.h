/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_LINUX_TRACEPOINT_H
#define SHIM_LINUX_TRACEPOINT_H

#include <shim.h>

/* A tracepoint is counted by its name; what it prints is for the guest's tests */
#define TP_PROTO(...) __VA_ARGS__
#define TP_ARGS(...) __VA_ARGS__
#define DECLARE_EVENT_CLASS(name, proto, args, tstruct, assign, print)
#define DEFINE_EVENT(class, name, proto, args)				\
static inline void trace_##name(proto)					\
{									\
	if (shim_tracing)						\
		shim_trace(#name);					\
}
#define DEFINE_EVENT_PRINT(class, name, proto, args, print)		\
	DEFINE_EVENT(class, name, PARAMS(proto), PARAMS(args))
#define PARAMS(...) __VA_ARGS__
#define TRACE_EVENT(name, proto, args, tstruct, assign, print)		\
	DEFINE_EVENT(, name, PARAMS(proto), PARAMS(args))

#endif
