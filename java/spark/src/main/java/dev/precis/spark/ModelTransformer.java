package dev.precis.spark;

import dev.precis.device.DeviceOptions;
import dev.precis.io.InvalidInputException;
import dev.precis.tensor.DType;
import java.util.Arrays;
import java.util.Locale;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.ml.Transformer;
import org.apache.spark.ml.param.IntParam;
import org.apache.spark.ml.param.Param;
import org.apache.spark.ml.param.ParamMap;
import org.apache.spark.ml.util.DefaultParamsWritable;
import org.apache.spark.ml.util.Identifiable;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.types.StructType;

/**
 * A stage that adds what a model says of each row's text. The model is loaded once for an executor,
 * by the first task that needs it, and all tasks share it.
 *
 * @param <S> the stage itself
 */
public abstract class ModelTransformer<S extends ModelTransformer<S>> extends Transformer
    implements DefaultParamsWritable {
  private final String uid;

  /** A folder on every executor, or the name of a folder that {@code --archives} unpacks there. */
  public final Param<String> model = text("model", "folder of the model on the executors");

  public final Param<String> inputCol = text("inputCol", "column of the texts");

  public final Param<String> outputCol = text("outputCol", "column of the results");

  public final Param<String> dtype =
      text("dtype", "type of the weights: float32, bfloat16 or, to generate, int8 or int4");

  public final Param<String> device = text("device", "cpu, cuda, cuda:N or auto");

  public final IntParam threads =
      new IntParam(this, "threads", "threads of the model on an executor; 0: one for each core");

  public final IntParam batchRows =
      new IntParam(this, "batchRows", "the most texts that the model computes at the same time");

  /** Begins with a name that is unique among the stages of a pipeline. */
  ModelTransformer(String uid) {
    this.uid = uid; // the parameters name their parent as they are made
    super();
    setDefault(device, "cpu");
    setDefault(threads, 0);
    setDefault(batchRows, 32);
  }

  final Param<String> text(String name, String doc) {
    return new Param<>((Identifiable) this, name, doc);
  }

  @Override
  public final String uid() {
    return uid;
  }

  /** Sets the folder of the model; see {@link #model}. */
  public final S setModel(String folder) {
    return with(model, folder);
  }

  /** Sets the column of the texts. */
  public final S setInputCol(String name) {
    return with(inputCol, name);
  }

  /** Sets the column of the results. */
  public final S setOutputCol(String name) {
    return with(outputCol, name);
  }

  /** Sets the type of the weights; default: the checkpoint's own. */
  public final S setDtype(String name) {
    return with(dtype, name);
  }

  /** Sets the device; default: {@code cpu}. */
  public final S setDevice(String name) {
    return with(device, name);
  }

  /** Sets the threads of the model on an executor; 0, the default: one for each core. */
  public final S setThreads(int count) {
    return with(threads, count);
  }

  /** Sets the most texts that the model computes at the same time; default: 32. */
  public final S setBatchRows(int count) {
    return with(batchRows, count);
  }

  /** Sets a parameter of this stage. */
  @SuppressWarnings("unchecked") // S is the class that extends this one
  final <V> S with(Param<V> param, V value) {
    set(param, value);
    return (S) this;
  }

  @Override
  public final Param<?>[] params() {
    return FieldParams.of(this);
  }

  @Override
  public final S copy(ParamMap extra) {
    return defaultCopy(extra);
  }

  final String required(Param<String> param) {
    InvalidInputException.require(isDefined(param), uid + ": " + param.name(), "set", "left out");
    return getOrDefault(param);
  }

  /** Returns the value of a parameter, or another where it is not set. */
  final <V> V orElse(Param<V> param, V otherwise) {
    return isDefined(param) ? getOrDefault(param) : otherwise;
  }

  /**
   * Checks the stage's own parameters and adds its columns.
   *
   * @throws InvalidInputException if a parameter or a column cannot be used
   */
  abstract StructType added(StructType schema);

  /** Returns the work of a partition's task. */
  abstract MapPartitionsFunction<Row, Row> work(StructType schema);

  /**
   * Returns how this stage's model is loaded.
   *
   * @throws InvalidInputException if a parameter of it cannot be used
   */
  final ModelKey key(String adapter) {
    try {
      new DeviceOptions().device(getOrDefault(device));
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException(
          "%s: device must be cpu, cuda, cuda:N or auto, not %s"
              .formatted(uid, getOrDefault(device)),
          e);
    }
    return new ModelKey(
        required(model),
        adapter,
        type(),
        getOrDefault(device),
        (int) getOrDefault(threads),
        (int) getOrDefault(batchRows));
  }

  private DType type() {
    String name = orElse(dtype, null);
    if (name == null) {
      return null;
    }
    return Arrays.stream(DType.values())
        .filter(each -> each.name().toLowerCase(Locale.ROOT).equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                new InvalidInputException(
                    "%s: dtype must be float32, bfloat16, int8 or int4, not %s"
                        .formatted(uid, name)));
  }

  /**
   * {@inheritDoc}
   *
   * @throws InvalidInputException if a parameter or a column cannot be used
   */
  @Override
  public final StructType transformSchema(StructType schema) {
    Columns.requireText(uid, schema, required(inputCol));
    int rows = (int) getOrDefault(batchRows);
    InvalidInputException.require(rows >= 1, uid + ": batchRows", "1 or more", rows);
    int count = (int) getOrDefault(threads);
    InvalidInputException.require(count >= 0, uid + ": threads", "0 or more", count);
    key(null);
    return added(schema);
  }

  /**
   * Adds the results, when Spark computes them.
   *
   * @throws InvalidInputException if a parameter or a column cannot be used
   */
  @Override
  public final Dataset<Row> transform(Dataset<?> texts) {
    StructType schema = transformSchema(texts.schema());
    return texts.toDF().mapPartitions(work(texts.schema()), Encoders.row(schema));
  }
}
