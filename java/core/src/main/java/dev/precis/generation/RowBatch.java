package dev.precis.generation;

import dev.precis.generation.RowRanges.Range;
import dev.precis.generation.RunningRequest.Source;
import dev.precis.io.FlightRecorder;
import dev.precis.ops.GraphCache;
import dev.precis.ops.Ops;
import dev.precis.t5.T5Model;
import dev.precis.t5.T5Weights.Adapters;
import dev.precis.tensor.Workspace;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.function.Consumer;

/**
 * Greedy decoding and sampling for many requests in one batch ("continuous batching", Yu et al.
 * 2022): each sequence is a row. Between two steps finished and cancelled rows leave and others
 * enter, so that no step runs half empty. Each row has the options of its own request, and its
 * tokens do not depend on its neighbors.
 *
 * <p>The next row goes to the request with the fewest rows, the oldest among equals: a request of a
 * thousand sources holds up none of a single one. Where memory is short, the next one waits for it,
 * and nobody overtakes.
 *
 * <p>The sequences of one source share its encoding and its cross-attention's keys and values, and
 * are neighbors, so that attention reads those once for several rows.
 *
 * <p>A sequence with a draft ({@link PromptLookup}) has further rows in a step, behind its own: the
 * i-th reads the i-th token of the draft, as if that had been chosen already. All of them store
 * their keys and values in the sequence's range, each at its own position, before attention reads
 * any; and each has a history, a number of generated tokens and a position in its stream of random
 * numbers of its own. So a row computes what a later step would, bit by bit, as long as the draft
 * is right; beyond that its result is ignored, and later steps overwrite its keys and values.
 */
final class RowBatch implements AutoCloseable {
  /** Source tokens that are encoded between two steps while rows are running. */
  private static final int TOKENS_BETWEEN_STEPS = 1024;

  /** The most source tokens of one run of the encoder; a longer source has a run of its own. */
  private static final int TOKENS_AT_ONCE = 4096;

  /** The same on a GPU, which a few rows would leave idle: bounds memory. */
  private static final int TOKENS_AT_ONCE_ON_GPU = 16384;

  /**
   * The most rows of a step with drafts: it is bound by reading the weights, so they cost little.
   */
  private static final int MOST_ROWS_WITH_DRAFTS = 8;

  /**
   * The kind of a step: what its operations depend on besides the contents of memory.
   *
   * @param choice null: each row has its own
   * @param chooses whether the tokens are chosen in the step: not where the host comes between
   * @param alternatives whether some rows want the most probable tokens
   */
  private record StepKind(
      int rows,
      int memory,
      Adapters adapters,
      TokenChoice.Kind choice,
      boolean chooses,
      boolean alternatives,
      Mixture mixture) {}

  /**
   * Adapters of a step whose rows differ in them.
   *
   * @param number tells mixtures apart on a GPU, whose graphs do not come again
   * @param ends each adapters' last row, plus one
   */
  private record Mixture(int number, List<Adapters> adapters, List<Integer> ends) {}

  /** A sequence that is being decoded. */
  private static final class Row {
    final RunningRequest request;
    final Source source;
    final int index;
    final Range range;
    final float[] logProbabilities;
    final float[] warped;
    PromptLookup lookup; // null without drafts
    int[] draft = NO_DRAFT; // of this step
    int generated;
    boolean complete;

    Row(RunningRequest request, Source source, int index, Range range, PromptLookup lookup) {
      this.lookup = lookup;
      this.request = request;
      this.source = source;
      this.index = index;
      this.range = range;
      int limit = request.limit(source.index());
      logProbabilities = new float[limit];
      warped = request.warped() ? new float[limit] : null;
    }
  }

  private static final int[] NO_DRAFT = {};

  private final T5Model model;
  private final Ops ops;
  private final int mostRows;
  private final long mostBytes;
  private final Workspace passing;
  private final KeyValuePool pool;
  private final GraphCache graphs;
  private final SourceEncoder encoder;
  private final Deque<RunningRequest> waiting = new ArrayDeque<>();
  private final List<RunningRequest> running = new ArrayList<>();
  private final List<Row> rows = new ArrayList<>();
  private final List<Row> lines = new ArrayList<>(); // of a step: a sequence's row, and its draft's
  private final Runnable step = this::launch;
  private Workspace bufferMemory;
  private DecodeBuffers buffers;
  private int memory; // changes when buffers or pool are others
  private int poolMoves;
  private final List<Adapters> mixedAdapters = new ArrayList<>(); // of rows, where they differ
  private int[] adapterEnds;
  private final List<TokenChoice> choices = new ArrayList<>(); // of rows of a kind
  private TokenChoice choice; // of all rows
  private boolean changed; // rows have come or gone since the last step
  private int mixtures; // how often a GPU's rows of different adapters have been put together
  private StepKind kind;
  private int hostRows; // whose scores the host changes
  private int alternativeRows; // that want the most probable tokens
  private int draftingRows; // that have a lookup
  private long steps;
  private long tokens;
  private long drafted;
  private long accepted;

  /**
   * Makes an empty batch.
   *
   * @param passing memory that is reset in every step
   * @param mostRows rows of a step, but a single request may have more if it asks for them
   * @param mostBytes of the KV cache, but a single sequence may have more if it needs them
   */
  RowBatch(T5Model model, Workspace passing, int mostRows, long mostBytes) {
    this.model = model;
    this.ops = model.ops();
    this.passing = passing;
    this.mostRows = mostRows;
    this.mostBytes = mostBytes;
    pool = new KeyValuePool(model);
    graphs = new GraphCache(ops);
    int tokensAtOnce = ops.onGpu() ? TOKENS_AT_ONCE_ON_GPU : TOKENS_AT_ONCE;
    encoder = new SourceEncoder(model, passing, tokensAtOnce);
  }

  /** Adds a request behind those that wait. */
  void add(RunningRequest request) {
    waiting.add(request);
  }

  /** Returns whether there is nothing to do. */
  boolean isEmpty() {
    return waiting.isEmpty() && running.isEmpty();
  }

  /** Returns the number of rows. */
  int rows() {
    return rows.size();
  }

  /** Returns the number of requests that have begun. */
  int running() {
    return running.size();
  }

  /** Returns the number of decoding steps so far. */
  long steps() {
    return steps;
  }

  /** Returns the number of tokens that were generated so far. */
  long tokens() {
    return tokens;
  }

  /** Returns the number of draft tokens that were verified so far. */
  long drafted() {
    return drafted;
  }

  /** Returns the number of draft tokens that were chosen so far. */
  long accepted() {
    return accepted;
  }

  /** Returns the bytes of the KV cache. */
  long cacheBytes() {
    return pool.bytes();
  }

  /** Returns the bytes that are held between steps: the KV cache and the rows. */
  long bytes() {
    return pool.bytes() + (bufferMemory == null ? 0 : bufferMemory.peak());
  }

  /** Removes what has ended, admits what may enter, and decodes one step. */
  void step() {
    removeEnded();
    admit();
    if (rows.isEmpty()) {
      return;
    }
    DecodingStepEvent event = FlightRecorder.PRESENT ? DecodingStepEvent.start() : null;
    try {
      decodeWithDrafts(event);
    } catch (RuntimeException | Error e) {
      for (RunningRequest each : List.copyOf(running)) {
        end(each, e);
      }
      return;
    }
    long before = tokens;
    accept();
    if (event != null) {
      event.tokens = Math.toIntExact(tokens - before);
      event.commit();
    }
  }

  /**
   * Allocates the memory of a request that runs alone, all at once.
   *
   * @param sources in one batch
   * @param longest tokens of each source
   * @param count rows
   * @param newTokens of each row
   * @return bytes, those of a step included
   */
  long reserve(int sources, int longest, int count, int newTokens) {
    pool.reserve((long) count * newTokens, (long) sources * longest, Long.MAX_VALUE);
    resize(count, newTokens, false, false);
    for (int row = 0; row < count; row++) {
      buffers.start(row, model.config().decoderStartTokenId(), row * newTokens, 0, 1, row);
    }
    buffers.upload(count);
    buffers.use(count);
    passing.reset();
    passing.resetPeak();
    model.step(pool.cache(), buffers.rows(), buffers.logits(), passing);
    long most = Math.max(passing.peak(), model.admissionBytes(sources, longest));
    passing.reserve(most);
    return bytes() + most;
  }

  // ------------------------------------------------------------------ requests that end

  private void removeEnded() {
    for (int i = running.size() - 1; i >= 0; i--) {
      RunningRequest request = running.get(i);
      try {
        request.interruption().check();
      } catch (CancellationException | GenerationTimeoutException e) {
        end(request, e);
      }
    }
  }

  /** Ends a request before it is complete. */
  private void end(RunningRequest request, Throwable reason) {
    remove(request);
    request.listener().failed(reason);
  }

  private void remove(RunningRequest request) {
    for (int row = rows.size() - 1; row >= 0; row--) {
      if (rows.get(row).request == request) {
        remove(row);
      }
    }
    // Sources some of whose sequences have yet to begin.
    for (Source source : List.copyOf(request.admitted())) {
      release(request, source);
    }
    running.remove(request);
  }

  /** Removes every request without a word to its listener. */
  void clear() {
    waiting.clear();
    while (!running.isEmpty()) {
      remove(running.getLast());
    }
  }

  private void remove(int row) {
    changed = true;
    Row removed = rows.remove(row);
    buffers.copy(buffers, row + 1, row, rows.size() - row);
    removed.request.leave();
    pool.freeSelf(removed.range);
    hostRows -= removed.request.tokenRules() == null ? 0 : 1;
    alternativeRows -= removed.request.options().alternatives() == 0 ? 0 : 1;
    draftingRows -= removed.lookup == null ? 0 : 1;
    if (rows.isEmpty()) {
      lines.clear();
    }
    if (removed.source.finish()) {
      release(removed.request, removed.source);
    }
  }

  private void release(RunningRequest request, Source source) {
    request.release(source);
    pool.freeCross(source.rows());
  }

  // ------------------------------------------------------------------ admission

  private void admit() {
    RunningRequest request = next();
    if (request == null) {
      return;
    }
    int left = rows.isEmpty() ? Integer.MAX_VALUE : TOKENS_BETWEEN_STEPS;
    boolean first = true;
    List<SourceEncoder.Admission> sources = new ArrayList<>();
    for (; request != null; request = next()) {
      int length = request.tokens(request.nextSource()).length;
      boolean encodes = request.nextSequence() == 0 && request.encoded() == null;
      if (rows.size() >= Math.max(mostRows, request.mostRows())
          || (encodes && !first && length > left)) {
        break;
      }
      if (request == waiting.peek()) {
        waiting.remove();
        if (!request.listener().begins()) {
          continue;
        }
        running.add(request);
        request.interruption().begin();
        try {
          makeRoom(request);
        } catch (RuntimeException | Error e) {
          end(request, e); // such as: not so much memory
          continue;
        }
      }
      boolean entered;
      try {
        entered = enter(request, sources);
      } catch (RuntimeException | Error e) {
        end(request, e);
        continue;
      }
      if (!entered) {
        break;
      }
      if (encodes) {
        left -= length;
        first = false;
      }
    }
    placeRows();
    encode(sources);
  }

  /**
   * Returns the bytes that the KV cache may have now. A sequence that would be alone has what it
   * needs: nothing else could make room for it.
   */
  private long mostBytes() {
    return rows.isEmpty() ? Long.MAX_VALUE : mostBytes;
  }

  /** Returns the request that has the next row; null if there is none. */
  private RunningRequest next() {
    RunningRequest fewest = null;
    for (int i = 0; i < running.size(); i++) {
      RunningRequest each = running.get(i);
      if (each.hasNext()
          && each.rows() < each.mostRows()
          && (fewest == null || each.rows() < fewest.rows())) {
        fewest = each;
      }
    }
    return waiting.isEmpty() || (fewest != null && fewest.rows() == 0) ? fewest : waiting.peek();
  }

  /** Makes room for all rows that a request has at the same time, as far as there may be. */
  private void makeRoom(RunningRequest request) {
    int each = request.options().numReturnSequences();
    long sources = (request.mostRows() + each - 1L) / each;
    pool.reserve(
        (long) request.mostRows() * request.longestLimit(),
        sources * request.longest(),
        mostBytes());
    int most = Math.max(request.mostRows(), Math.min(mostRows, rows.size() + request.mostRows()));
    int least = drafts(request) ? MOST_ROWS_WITH_DRAFTS : rows.size() + 1;
    resize(
        Math.max(most, least),
        request.longestLimit(),
        request.tokenRules() != null,
        request.options().alternatives() > 0);
  }

  /** Gives the buffers so many rows of so many tokens, unless they have them. */
  private void resize(int capacity, int newTokens, boolean onHost, boolean alternatives) {
    int rowsWanted = buffers == null ? capacity : Math.max(capacity, buffers.capacity());
    int tokensWanted = buffers == null ? newTokens : Math.max(newTokens, buffers.newTokens());
    boolean hostWanted = onHost || (buffers != null && buffers.onHost());
    int alternativesWanted =
        alternatives || (buffers != null && buffers.alternatives() > 0)
            ? Math.min(GenerationOptions.MOST_ALTERNATIVES, model.config().vocabSize())
            : 0;
    if (buffers != null
        && rowsWanted == buffers.capacity()
        && tokensWanted == buffers.newTokens()
        && hostWanted == buffers.onHost()
        && alternativesWanted == buffers.alternatives()) {
      return;
    }
    Workspace newMemory = ops.newWorkspace();
    DecodeBuffers larger =
        new DecodeBuffers(
            rowsWanted,
            tokensWanted,
            model.config().vocabSize(),
            model.config().eosTokenIds(),
            hostWanted,
            hostWanted || alternativesWanted > 0,
            alternativesWanted,
            ops.onGpu(),
            newMemory);
    if (buffers != null) {
      larger.copy(buffers, 0, 0, rows.size());
      bufferMemory.close();
    }
    bufferMemory = newMemory;
    buffers = larger;
    memory++;
    changed = true;
  }

  /**
   * Has the next sequence of a request enter.
   *
   * @param sources receives its source if that is to be encoded first
   * @return false if there is no memory for it now
   */
  private boolean enter(RunningRequest request, List<SourceEncoder.Admission> sources) {
    int source = request.nextSource();
    boolean isNew = request.nextSequence() == 0;
    Range cross = isNew ? pool.allocateCross(request.tokens(source).length, mostBytes()) : null;
    if (isNew && cross == null) {
      return false;
    }
    Range self = null;
    try {
      self = pool.allocateSelf(request.limit(source), mostBytes());
    } finally {
      if (self == null && isNew) {
        pool.freeCross(cross);
      }
    }
    if (self == null) {
      return false;
    }
    if (isNew) {
      request.admit(cross);
      sources.add(new SourceEncoder.Admission(request, source, cross));
    }
    insert(request, request.nextSequence(), self);
    return true;
  }

  private void insert(RunningRequest request, int index, Range range) {
    changed = true;
    Source source = request.begin();
    resize(rows.size() + 1, buffers.newTokens(), false, false);
    int at = place(request, source);
    buffers.copy(buffers, at, at + 1, rows.size() - at);
    PromptLookup lookup = drafts(request) ? lookup(request, source.index()) : null;
    rows.add(at, new Row(request, source, index, range, lookup));
    draftingRows += lookup == null ? 0 : 1;
    buffers.start(
        at,
        model.config().decoderStartTokenId(),
        range.begin(),
        source.rows().begin(),
        source.rows().length(),
        request.stream(source.index(), index));
    hostRows += request.tokenRules() == null ? 0 : 1;
    alternativeRows += request.options().alternatives() == 0 ? 0 : 1;
  }

  /** Returns whether steps verify drafts of a request. A GPU's rows advance on the GPU alone. */
  private boolean drafts(RunningRequest request) {
    return request.options().draft() == GenerationOptions.Draft.LOOKUP && !ops.onGpu();
  }

  private PromptLookup lookup(RunningRequest request, int source) {
    return new PromptLookup(
        request.tokens(source),
        request.limit(source),
        model.config().vocabSize(),
        model.config().eosTokenIds());
  }

  /** Returns the place of a new row: rows of a source, a request and an adapter are neighbors. */
  private int place(RunningRequest request, Source source) {
    int behindRequest = -1;
    int behindAdapters = -1;
    for (int i = rows.size(); i > 0; i--) {
      Row row = rows.get(i - 1);
      if (row.source == source) {
        return i;
      }
      if (row.request == request && behindRequest < 0) {
        behindRequest = i;
      }
      if (row.request.adapters() == request.adapters() && behindAdapters < 0) {
        behindAdapters = i;
      }
    }
    return behindRequest >= 0 ? behindRequest : behindAdapters >= 0 ? behindAdapters : rows.size();
  }

  /** Tells the rows where their keys and values are, if those have moved. */
  private void placeRows() {
    if (poolMoves == pool.moves()) {
      return;
    }
    poolMoves = pool.moves();
    memory++;
    changed = true;
    for (int i = 0; i < rows.size(); i++) {
      Row row = rows.get(i);
      buffers.place(i, row.range.begin(), row.source.rows().begin());
    }
  }

  private void encode(List<SourceEncoder.Admission> sources) {
    for (int begin = 0, end; begin < sources.size(); begin = end) {
      end = encoder.endOfRun(sources, begin);
      List<SourceEncoder.Admission> run = sources.subList(begin, end);
      try {
        encoder.run(run, pool.cache());
      } catch (RuntimeException | Error e) {
        for (SourceEncoder.Admission each : run) {
          if (running.contains(each.request())) {
            end(each.request(), e);
          }
        }
      }
    }
    if (!sources.isEmpty()) {
      removeEnded(); // an encoder that was cancelled has left nothing to go on with
    }
  }

  // ------------------------------------------------------------------ steps

  private void decodeWithDrafts(DecodingStepEvent event) {
    propose();
    try {
      decode(event);
    } catch (RuntimeException e) {
      if (lines.size() == rows.size()) {
        throw e;
      }
      // The rules may forbid every token behind a draft that the sequence does not follow.
      removeDrafts();
      for (Row row : rows) {
        row.lookup = null;
      }
      draftingRows = 0;
      changed = true;
      propose();
      decode(event);
    }
  }

  private void decode(DecodingStepEvent event) {
    buffers.use(lines.size());
    if (changed) {
      arrange();
      buffers.upload(lines.size());
    }
    if (!mixedAdapters.isEmpty()) {
      Adapters.use(mixedAdapters, adapterEnds);
    } else if (kind.adapters != null) {
      kind.adapters.use();
    }
    passing.reset();
    long before = event == null ? 0 : System.nanoTime();
    graphs.run(kind, step);
    if (kind.chooses) {
      buffers.download();
    } else {
      ops.synchronize();
    }
    if (event != null) {
      event.kernelTime = System.nanoTime() - before;
      event.rows = rows.size();
      event.drafted = lines.size() - rows.size();
      event.requests = running.size();
      event.waiting = waiting.size();
      event.cacheBytes = pool.bytes();
    }
    if (!kind.chooses) {
      chooseOnHost();
    }
    steps++;
  }

  /** Finds drafts, and gives their tokens rows behind those of their sequences. */
  private void propose() {
    if (draftingRows == 0 && !changed) {
      return;
    }
    shareDrafts(Math.min(MOST_ROWS_WITH_DRAFTS, buffers.capacity()) - rows.size());
    List<Row> last = List.copyOf(lines);
    lines.clear();
    for (int i = 0; i < rows.size(); i++) {
      Row row = rows.get(i);
      int at = lines.size();
      lines.add(row);
      int n = row.draft.length;
      if (n > 0) {
        buffers.copy(buffers, at + 1, at + 1 + n, rows.size() - i - 1);
      }
      for (int token : row.draft) {
        buffers.copy(buffers, at, ++at, 1);
        buffers.append(at, token);
        lines.add(row);
      }
    }
    changed |= !lines.equals(last);
  }

  /** Has every sequence that can have a draft propose one, of so many tokens in all. */
  private void shareDrafts(int room) {
    int drafting = draftingRows;
    int left = room;
    for (Row row : rows) {
      row.draft = NO_DRAFT;
      if (row.lookup != null) {
        if (left > 0) {
          // Rounded up: few sequences have a match at the same time.
          row.draft = row.lookup.propose((left + drafting - 1) / drafting);
          left -= row.draft.length;
        }
        drafting--;
      }
    }
  }

  /** Finds out which rows are computed alike. Rows of the same adapters are neighbors. */
  private void arrange() {
    changed = false;
    RunningRequest first = lines.getFirst().request;
    mixedAdapters.clear();
    choices.clear();
    TokenChoice.Kind firstKind = TokenChoice.Kind.of(first);
    TokenChoice.Kind now = firstKind;
    List<Integer> ends = new ArrayList<>();
    int begin = 0;
    for (int i = 1; i <= lines.size(); i++) {
      RunningRequest before = lines.get(i - 1).request;
      RunningRequest next = i < lines.size() ? lines.get(i).request : null;
      if (next == null || next.adapters() != before.adapters()) {
        mixedAdapters.add(before.adapters());
        ends.add(i);
      }
      TokenChoice.Kind then =
          next == before ? now : next == null ? null : TokenChoice.Kind.of(next);
      if (!now.equals(then)) {
        choices.add(
            new TokenChoice(ops, now, buffers, buffers.part(begin, i - begin, before.options())));
        begin = i;
        now = then;
      }
    }
    boolean mixed = choices.size() > 1;
    if (mixed) {
      for (int i = 0; i < lines.size(); i++) {
        TokenChoice.Kind.of(lines.get(i).request).put(buffers, i);
      }
    }
    choice = mixed ? TokenChoice.mixed(ops, buffers) : choices.getFirst();
    adapterEnds = ends.stream().mapToInt(each -> each).toArray();
    if (ends.size() == 1) {
      mixedAdapters.clear();
    }
    Mixture mixture =
        mixedAdapters.isEmpty()
            ? null
            : new Mixture(
                ops.onGpu() ? ++mixtures : 0, List.copyOf(mixedAdapters), List.copyOf(ends));
    kind =
        new StepKind(
            lines.size(),
            memory,
            first.adapters(),
            mixed ? null : firstKind,
            hostRows == 0,
            alternativeRows > 0,
            mixture);
  }

  private void launch() {
    model.step(pool.cache(), buffers.rows(), buffers.logits(), passing);
    if (kind.alternatives) {
      buffers.findAlternatives(ops);
    }
    if (kind.chooses) {
      choice.choose();
    }
  }

  /** Chooses the tokens where the host changes the scores of some rows before. */
  private void chooseOnHost() {
    onHost(TokenChoice::keepOriginals);
    eachHostRow((rules, row, source) -> rules.before(buffers, row, source));
    onHost(TokenChoice::process);
    eachHostRow((rules, row, source) -> rules.after(buffers, row, source));
    onHost(TokenChoice::useScores);
    choice.choose();
    buffers.download();
    eachHostRow((rules, row, source) -> buffers.useOriginalLogProbability(row));
  }

  /** Does something with the rows whose scores the host changes. */
  private void onHost(Consumer<TokenChoice> operation) {
    choices.stream().filter(TokenChoice::onHost).forEach(operation);
  }

  /** Something that the host does with a row. */
  private interface HostRule {
    void apply(TokenRuleScores rules, int row, int source);
  }

  private void eachHostRow(HostRule rule) {
    for (int i = 0; i < lines.size(); i++) {
      Row row = lines.get(i);
      if (row.request.tokenRules() != null) {
        rule.apply(row.request.tokenRules(), i, row.source.index());
      }
    }
  }

  /** Reads the tokens that were chosen; complete sequences leave. */
  private void accept() {
    boolean any = false;
    int line = 0;
    for (Row row : rows) {
      int n = row.draft.length;
      int right = accept(row, line);
      tokens += right + 1;
      drafted += n;
      accepted += right;
      if (row.lookup != null) {
        row.lookup.step(n, right);
      }
      any |= row.complete;
      line += n + 1;
    }
    if (lines.size() > rows.size()) {
      removeDrafts();
    }
    // From the last row down, for the rows behind one that leaves move.
    for (int i = rows.size() - 1; any && i >= 0; i--) {
      if (rows.get(i).complete) {
        finish(i);
      }
    }
  }

  /**
   * Reads the tokens of a sequence: one, and another for each token of its draft as long as that is
   * what was chosen before, and the sequence goes on.
   *
   * @param line the sequence's row, which its draft's follow
   * @return the number of tokens of the draft that were right
   */
  private int accept(Row row, int line) {
    for (int i = 0; ; i++) {
      int token = buffers.token(line + i);
      accept(row, line, line + i, token);
      boolean right = i < row.draft.length && row.draft[i] == token;
      if (row.complete || !right || row.request.interruption().isOver()) {
        return i;
      }
    }
  }

  /** Takes a token that was chosen for a sequence in one of its rows. */
  private void accept(Row row, int line, int chosenIn, int token) {
    RunningRequest request = row.request;
    int source = row.source.index();
    float logProbability = buffers.logProbability(chosenIn);
    buffers.append(line, token);
    if (row.lookup != null) {
      row.lookup.append(token);
    }
    row.logProbabilities[row.generated] = logProbability;
    if (row.warped != null) {
      row.warped[row.generated] = buffers.warpedLogProbability(chosenIn);
    }
    row.generated++;
    int alternatives = request.options().alternatives();
    if (alternatives > 0) {
      request
          .listener()
          .alternatives(
              source,
              row.index,
              buffers.alternativeTokens(chosenIn, alternatives),
              buffers.alternativeLogProbabilities(chosenIn, alternatives));
    }
    request.listener().token(source, row.index, token, logProbability);
    row.complete = request.stops(source, row.generated, token);
  }

  /** Takes the rows of drafts out of the buffers again. */
  private void removeDrafts() {
    int line = 0;
    for (int i = 0; i < rows.size(); i++) {
      buffers.copy(buffers, line, i, 1);
      line += rows.get(i).draft.length + 1;
    }
  }

  private void finish(int i) {
    Row row = rows.get(i);
    RunningRequest request = row.request;
    int n = row.generated;
    int[] all = buffers.history(i, 1, n);
    SampledTokens result =
        new SampledTokens(
            all,
            Arrays.copyOf(row.logProbabilities, n),
            row.warped == null ? null : Arrays.copyOf(row.warped, n),
            request.ends(all[n - 1]));
    remove(i);
    if (request.isComplete()) {
      running.remove(request);
    }
    request.listener().finished(row.source.index(), row.index, result);
  }

  @Override
  public void close() {
    clear();
    graphs.close();
    pool.close();
    if (bufferMemory != null) {
      bufferMemory.close();
    }
  }
}
