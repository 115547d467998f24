package dev.precis.generation;

import dev.precis.t5.T5Model;
import dev.precis.t5.T5Weights.Adapters;
import dev.precis.tensor.Workspace;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.List;
import java.util.function.BooleanSupplier;

/**
 * Runs calls on one thread, step by step. Greedy decoding and sampling share the rows of one {@link
 * RowBatch}. A beam search has a batch of its own, whose steps alternate with those of the rows;
 * one follows another.
 */
final class RequestRunner implements AutoCloseable {
  private final T5Model model;

  /** Memory of one step, or of one run of the encoder. */
  private final Workspace passing;

  /** Memory of a beam search. */
  private final Workspace beamMemory;

  private final RowBatch rows;
  private final Deque<RunningRequest> beamRequests = new ArrayDeque<>();
  private RunningRequest searched; // null where no beam search runs
  private BeamSearch search;

  /**
   * Makes a runner for a model.
   *
   * @param mostRows see {@link RowBatch}
   * @param mostBytes see {@link RowBatch}
   */
  RequestRunner(T5Model model, int mostRows, long mostBytes) {
    this.model = model;
    passing = model.ops().newWorkspace();
    beamMemory = model.ops().newWorkspace();
    rows = new RowBatch(model, passing, mostRows, mostBytes);
  }

  /** Returns the batch of rows. */
  RowBatch rows() {
    return rows;
  }

  /** Returns the memory of one step. */
  Workspace passing() {
    return passing;
  }

  /** Returns the number of requests that have begun. */
  int running() {
    return rows.running() + (searched == null ? 0 : 1);
  }

  /**
   * Adds a call behind those that wait.
   *
   * @param adapters null: those that are on the weights
   * @param cancelled whether the call is to end
   */
  void add(GenerationCall call, Adapters adapters, BooleanSupplier cancelled) {
    GenerationRequest request = call.request();
    GenerationOptions options = request.options();
    int sources = request.sources().size();
    RunningRequest running =
        new RunningRequest(
            model.weights().prompted(request.sources()),
            null,
            options,
            StopRules.uniform(model.config().eosTokenIds(), sources, options.maxNewTokens()),
            request.batchSize(),
            request.firstSource(),
            false,
            adapters,
            new Interruption(options.timeout(), cancelled),
            new CallListener(call));
    if (options.numBeams() > 1) {
      beamRequests.add(running);
    } else {
      rows.add(running);
    }
  }

  /** Does a step of everything that runs; returns whether there is more to do. */
  boolean step() {
    if (!rows.isEmpty()) {
      rows.step();
    }
    searchBeams();
    return !rows.isEmpty() || searched != null || !beamRequests.isEmpty();
  }

  private void searchBeams() {
    try {
      if (searched == null) {
        RunningRequest request = beamRequests.poll();
        if (request == null || !request.listener().begins()) {
          return;
        }
        searched = request;
        request.interruption().begin();
        search = new BeamSearch(model, beamMemory, passing, request);
      }
      if (!search.step()) {
        endSearch();
      }
    } catch (RuntimeException | Error e) {
      RunningRequest failed = searched;
      endSearch();
      failed.listener().failed(e);
    }
  }

  private void endSearch() {
    if (search != null) {
      search.close();
    }
    search = null;
    searched = null;
  }

  /** Forgets every call. */
  void clear() {
    rows.clear();
    beamRequests.clear();
    endSearch();
  }

  /** Passes on to a call what becomes of it. */
  private static final class CallListener implements RunningRequest.Listener {
    private final GenerationCall call;
    private final List<List<GeneratedTokens>> all = new ArrayList<>();
    private final int[] missing;
    private int incomplete;

    CallListener(GenerationCall call) {
      this.call = call;
      incomplete = call.request().sources().size();
      int each = call.request().options().numReturnSequences();
      missing = new int[incomplete];
      for (int i = 0; i < incomplete; i++) {
        all.add(new ArrayList<>(Collections.nCopies(each, null)));
        missing[i] = each;
      }
    }

    @Override
    public boolean begins() {
      return call.begin();
    }

    @Override
    public void token(int source, int sequence, int token, float logProbability) {
      call.token(source, sequence, token, logProbability);
    }

    @Override
    public void alternatives(int source, int sequence, int[] tokens, float[] logProbabilities) {
      call.alternatives(source, sequence, tokens, logProbabilities);
    }

    @Override
    public void finished(int source, int sequence, SampledTokens result) {
      all.get(source).set(sequence, withScore(result));
      if (--missing[source] == 0) {
        done(source);
      }
    }

    @Override
    public void found(int source, List<GeneratedTokens> results) {
      all.set(source, results);
      done(source);
    }

    private void done(int source) {
      call.result(source, all.get(source));
      if (--incomplete == 0) {
        call.complete(all);
      }
    }

    @Override
    public void failed(Throwable reason) {
      call.fail(reason);
    }

    /** Adds up the log-probabilities, in float32 and in the order of the tokens. */
    private static GeneratedTokens withScore(SampledTokens sampled) {
      float score = 0;
      for (float logProbability : sampled.logProbabilities()) {
        score += logProbability;
      }
      return new GeneratedTokens(
          sampled.tokens(), score, sampled.finished(), sampled.logProbabilities());
    }
  }

  @Override
  public void close() {
    clear();
    rows.close();
    passing.close();
    beamMemory.close();
  }
}
