/**
 * The kernels, callable from Java ({@link dev.precis.ops.Ops}), and automatic differentiation over
 * them ({@link dev.precis.ops.Tape}).
 *
 * <p>Kernels take tensors that the caller allocated; arguments that belong together are records.
 * Nothing here knows a model.
 */
package dev.precis.ops;
