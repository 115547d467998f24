package dev.precis.spark;

import dev.precis.evaluation.Rouge;
import dev.precis.io.InvalidInputException;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.ml.evaluation.Evaluator;
import org.apache.spark.ml.param.Param;
import org.apache.spark.ml.param.ParamMap;
import org.apache.spark.ml.util.DefaultParamsReader;
import org.apache.spark.ml.util.DefaultParamsWritable;
import org.apache.spark.ml.util.Identifiable;
import org.apache.spark.ml.util.MLReader;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;

/**
 * Computes the mean F1 of ROUGE, between 0 and 1, of a column of texts against a column of
 * references: strings, or arrays of strings, of which the best counts. A text that is null counts
 * as an empty one. The mean does not depend on the partitions.
 */
public final class RougeEvaluator extends Evaluator implements DefaultParamsWritable {
  /** Scores are added up as whole multiples of 1 / UNIT: such a sum has no order. */
  private static final double UNIT = 1L << 32;

  private static final StructType SUM =
      new StructType().add("sum", DataTypes.LongType).add("rows", DataTypes.LongType);

  private final String uid;

  public final Param<String> predictionCol = text("predictionCol", "column of the texts");

  public final Param<String> referenceCol = text("referenceCol", "column of the references");

  public final Param<String> metric = text("metric", "rouge1, rouge2, rougeL or rougeLsum");

  public final Param<String> preset = text("preset", "variant of ROUGE, by its name");

  /** Makes an evaluator with a name of its own. */
  public RougeEvaluator() {
    this(Identifiable.randomUID("rougeEvaluator"));
  }

  /** Makes an evaluator with this name. */
  public RougeEvaluator(String uid) {
    this.uid = uid; // the parameters name their parent as they are made
    super();
    setDefault(metric, Rouge.Metric.ROUGE_LSUM.id());
    setDefault(preset, Rouge.Preset.STEMMER.id());
  }

  private Param<String> text(String name, String doc) {
    return new Param<>((Identifiable) this, name, doc);
  }

  /** Returns a reader of evaluators that were written. */
  public static MLReader<RougeEvaluator> read() {
    return new DefaultParamsReader<>();
  }

  /** Reads an evaluator that was written. */
  public static RougeEvaluator load(String path) {
    return read().load(path);
  }

  @Override
  public String uid() {
    return uid;
  }

  @Override
  public Param<?>[] params() {
    return FieldParams.of(this);
  }

  /** Sets the column of the texts. */
  public RougeEvaluator setPredictionCol(String name) {
    set(predictionCol, name);
    return this;
  }

  /** Sets the column of the references. */
  public RougeEvaluator setReferenceCol(String name) {
    set(referenceCol, name);
    return this;
  }

  /** Sets the metric: rouge1, rouge2, rougeL or, the default, rougeLsum. */
  public RougeEvaluator setMetric(String name) {
    set(metric, name);
    return this;
  }

  /** Sets the variant of ROUGE; default: rouge_score, with the Porter stemmer. */
  public RougeEvaluator setPreset(String name) {
    set(preset, name);
    return this;
  }

  @Override
  public RougeEvaluator copy(ParamMap extra) {
    return defaultCopy(extra);
  }

  private Rouge.Metric chosen() {
    String name = getOrDefault(metric);
    return Arrays.stream(Rouge.Metric.values())
        .filter(each -> each.id().equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                new InvalidInputException(
                    "%s: metric must be rouge1, rouge2, rougeL or rougeLsum, not %s"
                        .formatted(uid, name)));
  }

  private int column(StructType schema, Param<String> param) {
    InvalidInputException.require(isDefined(param), uid + ": " + param.name(), "set", "left out");
    return Columns.index(uid, schema, getOrDefault(param));
  }

  /**
   * {@inheritDoc}
   *
   * @throws InvalidInputException if a parameter or a column cannot be used, or there are no rows
   */
  @Override
  public double evaluate(Dataset<?> dataset) {
    StructType schema = dataset.schema();
    int text = column(schema, predictionCol);
    Columns.requireText(uid, schema, getOrDefault(predictionCol));
    int reference = column(schema, referenceCol);
    DataType type = schema.apply(reference).dataType();
    boolean several = type.sameType(DataTypes.createArrayType(DataTypes.StringType));
    if (!several) {
      Columns.requireText(uid, schema, getOrDefault(referenceCol));
    }
    Rouge.Preset variant = Rouge.Preset.of(getOrDefault(preset));
    List<Row> sums =
        dataset
            .toDF()
            .mapPartitions(
                new Task(uid, chosen(), variant, text, reference, several), Encoders.row(SUM))
            .collectAsList();
    long rows = sums.stream().mapToLong(each -> each.getLong(1)).sum();
    if (rows == 0) {
      throw new InvalidInputException(uid + ": there are no rows to evaluate");
    }
    return sums.stream().mapToLong(each -> each.getLong(0)).sum() / UNIT / rows;
  }

  private record Task(
      String uid,
      Rouge.Metric metric,
      Rouge.Preset preset,
      int text,
      int reference,
      boolean several)
      implements MapPartitionsFunction<Row, Row> {

    @Override
    public Iterator<Row> call(Iterator<Row> rows) {
      Rouge rouge = Rouge.of(preset);
      long sum = 0;
      long count = 0;
      while (rows.hasNext()) {
        Row row = rows.next();
        String prediction = row.isNullAt(text) ? "" : row.getString(text);
        Rouge.Scores scores = rouge.score(prediction, references(row), Rouge.MultiReference.MAX);
        sum += Math.round(metric.of(scores).f1() * UNIT);
        count++;
      }
      return List.of(RowFactory.create(sum, count)).iterator();
    }

    private List<String> references(Row row) {
      List<String> all =
          row.isNullAt(reference)
              ? List.of()
              : several ? row.getList(reference) : List.of(row.getString(reference));
      if (all.isEmpty() || all.stream().anyMatch(Objects::isNull)) {
        throw new InvalidInputException(uid + ": a row has no reference, or one that is null");
      }
      return all;
    }
  }
}
