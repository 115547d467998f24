package dev.precis.benchmarks;

/**
 * A problem for a provider: operands and memory for the result, all of it native memory. The
 * formulas are those of precis.h.
 *
 * <p>Where an operation changes its operand, or adds to it, {@code before} is a copy of its
 * contents before the first call.
 */
public sealed interface Problem
    permits AttentionProblem,
        ElementwiseProblem,
        LossProblem,
        NormProblem,
        OptimizerProblem,
        ProductProblem,
        SamplingProblem {}
