package dev.precis.generation;

import dev.precis.ops.GraphCache;
import dev.precis.t5.T5Model;
import dev.precis.t5.T5Model.DecoderCache;
import dev.precis.tensor.Workspace;

/**
 * The decoding loop of every strategy: the model reads one token of each row, the strategy chooses
 * the next tokens, until no row is left.
 */
final class DecodingLoop {
  /**
   * The arguments of a step's operations, apart from the contents of their memory: steps of the
   * same kind can replay one CUDA graph.
   *
   * @param rows sequences
   * @param ancestors address of the table of ancestors; 0 without beams
   */
  private record StepKind(int rows, long ancestors) {}

  private final T5Model model;
  private final DecoderCache cache;
  private final DecodeBuffers buffers;
  private final Workspace scratch;

  /**
   * Prepares a loop.
   *
   * @param cache keys and values that the steps read and extend
   * @param buffers the rows' inputs and outputs
   * @param scratch reset in every step
   */
  DecodingLoop(T5Model model, DecoderCache cache, DecodeBuffers buffers, Workspace scratch) {
    this.model = model;
    this.cache = cache;
    this.buffers = buffers;
    this.scratch = scratch;
  }

  /**
   * Decodes until the strategy has no rows left.
   *
   * @param interruption ends the loop after the step that is running
   * @throws java.util.concurrent.CancellationException if the thread was interrupted
   * @throws GenerationTimeoutException if the time of the call is over
   */
  void run(DecodingStrategy strategy, Interruption interruption) {
    boolean onHost = strategy.choosesOnHost();
    Runnable step =
        () -> {
          model.step(cache, buffers.rows(), buffers.logits(), scratch);
          if (!onHost) {
            strategy.choose();
          }
        };
    try (GraphCache graphs = new GraphCache(model.ops())) {
      strategy.start();
      for (int rows = strategy.rows(); rows > 0; rows = strategy.rows()) {
        interruption.check();
        buffers.use(rows);
        scratch.reset();
        graphs.run(new StepKind(rows, buffers.ancestorsAddress()), step);
        model.ops().synchronize();
        if (onHost) {
          strategy.choose();
          model.ops().synchronize();
        }
        strategy.accept();
      }
    }
  }
}
