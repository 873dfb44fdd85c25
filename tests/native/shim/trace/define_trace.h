/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SHIM_TRACE_DEFINE_TRACE_H
#define SHIM_TRACE_DEFINE_TRACE_H


#endif
