/**
 * JMH benchmarks of the kernels and of generation. Each computes its result once before it is
 * timed, compares it with plain loops in double precision and refuses to run when the two differ.
 *
 * <p>{@code benchmarks/run} builds, runs and writes the table; {@code benchmarks/README.md} says
 * what is measured and what is not.
 */
package dev.precis.benchmarks;
