package dev.precis.spark;

import dev.precis.T5;
import dev.precis.generation.GenerationCall;
import dev.precis.generation.GenerationOptions;
import dev.precis.generation.GenerationRequest;
import dev.precis.text.PromptTemplate;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.sql.Row;

/**
 * Generates for the rows of a partition, in order. As many rows as fill the batch twice are handed
 * to the model ahead of the one that is waited for.
 *
 * @param options parameters that are set, by their names
 * @param input index of the column of the texts
 * @param id index of the column that tells rows apart; -1: none
 */
record GenerationTask(ModelKey key, Map<String, Object> options, String template, int input, int id)
    implements MapPartitionsFunction<Row, Row> {

  private T5 load() {
    return T5.load(
        key.modelFolder(),
        new T5.LoadOptions()
            .dtype(key.dtype())
            .device(key.device())
            .threads(key.threads())
            .maxBatchRows(key.batchRows())
            .maxWaitingRequests(Integer.MAX_VALUE) // each task bounds its own
            .adapters(key.adapter() == null ? List.of() : List.of(ModelKey.here(key.adapter()))));
  }

  @Override
  public Iterator<Row> call(Iterator<Row> rows) {
    ExecutorModels.Lease<T5> lease = ExecutorModels.lease(key, T5.class, this::load);
    ExecutorModels.atEndOfTask(lease::close);
    Results results = new Results(lease.model(), rows);
    ExecutorModels.atEndOfTask(results::cancel); // before the lease ends
    return results;
  }

  /** A row and what is generated for it; null where its text is. */
  private record Pending(Row row, GenerationCall call) {}

  private final class Results implements Iterator<Row> {
    private final T5 t5;
    private final Iterator<Row> rows;
    private final GenerationOptions defaults;
    private final PromptTemplate prompt = PromptTemplate.of(template);
    private final Deque<Pending> ahead = new ArrayDeque<>();

    Results(T5 t5, Iterator<Row> rows) {
      this.t5 = t5;
      this.rows = rows;
      defaults = T5Generator.applied(options, t5.defaultOptions().with()).build();
    }

    @Override
    public boolean hasNext() {
      return !ahead.isEmpty() || rows.hasNext();
    }

    @Override
    public Row next() {
      while (ahead.size() < 2 * key.batchRows() && rows.hasNext()) {
        ahead.add(submit(rows.next()));
      }
      Pending first = ahead.remove();
      return Columns.with(first.row, first.call == null ? null : text(first.call));
    }

    private Pending submit(Row row) {
      if (row.isNullAt(input)) {
        return new Pending(row, null);
      }
      String text = prompt.fill(row.getString(input));
      GenerationOptions its =
          defaults.sample() ? defaults.with().seed(seedOf(row, text)).build() : defaults;
      GenerationRequest request = GenerationRequest.of(t5.tokenizer().encode(text), its);
      return new Pending(row, t5.submit(request, null, null));
    }

    private String text(GenerationCall call) {
      return t5.decode(call.await().getFirst().getFirst()).text();
    }

    /** Returns a function of the stage's seed, the prompt and the row's id alone. */
    private long seedOf(Row row, String text) {
      String name = id < 0 || row.isNullAt(id) ? "" : row.get(id).toString();
      byte[] of = name.getBytes(StandardCharsets.UTF_8);
      try {
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        digest.update(ByteBuffer.allocate(12).putLong(defaults.seed()).putInt(of.length).flip());
        digest.update(of);
        return ByteBuffer.wrap(digest.digest(text.getBytes(StandardCharsets.UTF_8))).getLong();
      } catch (NoSuchAlgorithmException e) {
        throw new IllegalStateException(e); // every Java has SHA-256
      }
    }

    /** Takes rows out of the batch that a task which ends early leaves. */
    void cancel() {
      ahead.stream().filter(each -> each.call != null).forEach(each -> each.call.cancel());
    }
  }
}
