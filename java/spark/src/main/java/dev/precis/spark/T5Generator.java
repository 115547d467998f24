package dev.precis.spark;

import dev.precis.generation.GenerationOptions;
import dev.precis.text.PromptTemplate;
import java.util.HashMap;
import java.util.Map;
import java.util.function.BiConsumer;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.ml.param.BooleanParam;
import org.apache.spark.ml.param.DoubleParam;
import org.apache.spark.ml.param.IntParam;
import org.apache.spark.ml.param.LongParam;
import org.apache.spark.ml.param.Param;
import org.apache.spark.ml.util.DefaultParamsReader;
import org.apache.spark.ml.util.Identifiable;
import org.apache.spark.ml.util.MLReader;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;

/**
 * Generates a text from each row's with a T5; null from null. Options that are not set are those of
 * the model's {@code generation_config.json}.
 *
 * <p>The rows of all partitions of an executor are decoded in one batch, which they enter and leave
 * between two steps, and a row's text is the one that it gets alone. Where tokens are sampled, the
 * row's seed is made of {@link #seed}, the prompt and the value of {@link #idCol}: neither the
 * partition nor the attempt of a task changes it, and rows with the same prompt and id get the same
 * text.
 */
public final class T5Generator extends ModelTransformer<T5Generator> {
  /** Parameters that are options of generation, by their names. */
  private static final Map<String, BiConsumer<GenerationOptions.Builder, Object>> OPTIONS =
      Map.ofEntries(
          Map.entry("maxNewTokens", (its, value) -> its.maxNewTokens((int) value)),
          Map.entry("minNewTokens", (its, value) -> its.minNewTokens((int) value)),
          Map.entry("numBeams", (its, value) -> its.numBeams((int) value)),
          Map.entry("lengthPenalty", (its, value) -> its.lengthPenalty(single(value))),
          Map.entry("noRepeatNgramSize", (its, value) -> its.noRepeatNgramSize((int) value)),
          Map.entry("repetitionPenalty", (its, value) -> its.repetitionPenalty(single(value))),
          Map.entry("sample", (its, value) -> its.sample((boolean) value)),
          Map.entry("temperature", (its, value) -> its.temperature(single(value))),
          Map.entry("topK", (its, value) -> its.topK((int) value)),
          Map.entry("topP", (its, value) -> its.topP(single(value))),
          Map.entry("maxSourceTokens", (its, value) -> its.maxSourceTokens((int) value)),
          Map.entry("seed", (its, value) -> its.seed((long) value)));

  public final Param<String> adapter = text("adapter", "folder of a LoRA adapter");

  public final Param<String> template =
      text("template", "makes a prompt of a text, which stands for {dialogue}");

  public final Param<String> idCol =
      text("idCol", "column that tells rows with the same text apart where tokens are sampled");

  public final IntParam maxNewTokens = whole("maxNewTokens", "the most new tokens");

  public final IntParam minNewTokens = whole("minNewTokens", "the fewest new tokens");

  public final IntParam numBeams = whole("numBeams", "beams of a beam search; 1: none");

  public final DoubleParam lengthPenalty =
      number("lengthPenalty", "beams are ranked by log-probability / length^lengthPenalty");

  public final IntParam noRepeatNgramSize =
      whole("noRepeatNgramSize", "no n-gram of this size repeats; 0: off");

  public final DoubleParam repetitionPenalty =
      number("repetitionPenalty", "lowers the logits of tokens that occurred; 1: off");

  public final BooleanParam sample =
      new BooleanParam(this, "sample", "whether tokens are sampled, not the most probable ones");

  public final DoubleParam temperature = number("temperature", "below 1 samples more sharply");

  public final IntParam topK = whole("topK", "sample among the k most probable tokens; 0: all");

  public final DoubleParam topP =
      number("topP", "sample among the most probable tokens that add up to p; 1: all");

  public final IntParam maxSourceTokens = whole("maxSourceTokens", "the longest prompt, in tokens");

  public final LongParam seed = new LongParam(this, "seed", "of sampling");

  /** Makes a generator with a name of its own. */
  public T5Generator() {
    this(Identifiable.randomUID("t5Generator"));
  }

  /** Makes a generator with this name. */
  public T5Generator(String uid) {
    super(uid);
    setDefault(template, PromptTemplate.RAW.text());
  }

  /** Returns a reader of generators that were written. */
  public static MLReader<T5Generator> read() {
    return new DefaultParamsReader<>();
  }

  /** Reads a generator that was written. */
  public static T5Generator load(String path) {
    return read().load(path);
  }

  private IntParam whole(String name, String doc) {
    return new IntParam(this, name, doc);
  }

  private DoubleParam number(String name, String doc) {
    return new DoubleParam(this, name, doc);
  }

  private static float single(Object value) {
    return ((Double) value).floatValue();
  }

  public T5Generator setAdapter(String folder) {
    return with(adapter, folder);
  }

  public T5Generator setTemplate(String text) {
    return with(template, text);
  }

  public T5Generator setIdCol(String name) {
    return with(idCol, name);
  }

  public T5Generator setMaxNewTokens(int count) {
    return with(maxNewTokens, count);
  }

  public T5Generator setMinNewTokens(int count) {
    return with(minNewTokens, count);
  }

  public T5Generator setNumBeams(int count) {
    return with(numBeams, count);
  }

  public T5Generator setLengthPenalty(double exponent) {
    return with(lengthPenalty, exponent);
  }

  public T5Generator setNoRepeatNgramSize(int size) {
    return with(noRepeatNgramSize, size);
  }

  public T5Generator setRepetitionPenalty(double penalty) {
    return with(repetitionPenalty, penalty);
  }

  public T5Generator setSample(boolean value) {
    return with(sample, value);
  }

  public T5Generator setTemperature(double value) {
    return with(temperature, value);
  }

  public T5Generator setTopK(int count) {
    return with(topK, count);
  }

  public T5Generator setTopP(double probability) {
    return with(topP, probability);
  }

  public T5Generator setMaxSourceTokens(int count) {
    return with(maxSourceTokens, count);
  }

  public T5Generator setSeed(long value) {
    return with(seed, value);
  }

  private Map<String, Object> options() {
    Map<String, Object> set = new HashMap<>();
    for (Param<?> param : params()) {
      if (OPTIONS.containsKey(param.name()) && isSet(param)) {
        set.put(param.name(), getOrDefault(param));
      }
    }
    return set;
  }

  static GenerationOptions.Builder applied(
      Map<String, Object> options, GenerationOptions.Builder to) {
    options.forEach((name, value) -> OPTIONS.get(name).accept(to, value));
    return to;
  }

  @Override
  StructType added(StructType schema) {
    applied(options(), GenerationOptions.builder()).build();
    PromptTemplate.of(getOrDefault(template));
    if (isDefined(idCol)) {
      Columns.index(uid(), schema, getOrDefault(idCol));
    }
    Columns.requireAbsent(uid(), schema, required(outputCol));
    return schema.add(getOrDefault(outputCol), DataTypes.StringType);
  }

  @Override
  MapPartitionsFunction<Row, Row> work(StructType schema) {
    return new GenerationTask(
        key(orElse(adapter, null)),
        options(),
        getOrDefault(template),
        schema.fieldIndex(getOrDefault(inputCol)),
        isDefined(idCol) ? schema.fieldIndex(getOrDefault(idCol)) : -1);
  }
}
