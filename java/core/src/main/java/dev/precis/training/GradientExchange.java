package dev.precis.training;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Adds up the gradients of processes that share the micro-batches of each step, see {@link
 * TrainingLoop#share}. The sum has one order, that of the micro-batches, however many processes
 * compute them: it has the bits of the sum that one process accumulates where an operation adds to
 * each gradient once in a micro-batch, as the adapters' do.
 */
public interface GradientExchange {
  /**
   * The gradients of one micro-batch, or of several together.
   *
   * @param gradients of all parameters
   * @param sums of losses and metrics by name
   */
  record Contribution(float[] gradients, Map<String, Double> sums) {
    /** Makes the sum of no micro-batch. */
    public static Contribution zero(int parameters) {
      return new Contribution(new float[parameters], new LinkedHashMap<>());
    }

    /** Adds the sums, but not the gradients, of the next micro-batch. */
    public void addSums(Contribution next) {
      next.sums.forEach((name, value) -> sums.merge(name, value, Double::sum));
    }

    /** Adds the gradients of the next micro-batch in a range of the parameters. */
    public void addGradients(Contribution next, int begin, int end) {
      for (int i = begin; i < end; i++) {
        gradients[i] += next.gradients[i];
      }
    }
  }

  /** Returns the number of processes. */
  int processes();

  /** Returns this process's number, from 0. */
  int rank();

  /**
   * Returns the sum of the micro-batches of all processes, those of process 0 first: the same bits
   * in every process. Waits for the others.
   *
   * @param own of this process, in order; maybe none
   * @param parameters number of the gradients
   */
  Contribution sum(List<Contribution> own, int parameters);

  /** Returns the first micro-batch of a process: each has as many as the others, or one more. */
  default int begin(int rank, int microBatches) {
    return (int) ((long) rank * microBatches / processes());
  }
}
