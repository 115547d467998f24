package dev.precis.spark;

import dev.precis.Classifier;
import dev.precis.io.InvalidInputException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.ml.param.Param;
import org.apache.spark.ml.util.DefaultParamsReader;
import org.apache.spark.ml.util.Identifiable;
import org.apache.spark.ml.util.MLReader;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import scala.jdk.javaapi.CollectionConverters;

/**
 * Labels each row's text with a classifier; null with null. {@code outputCol} is the label with the
 * largest logit, {@link #probabilitiesCol} and {@link #logitsCol} are maps from labels to numbers.
 */
public final class TextClassifier extends ModelTransformer<TextClassifier> {
  private static final DataType BY_LABEL =
      DataTypes.createMapType(DataTypes.StringType, DataTypes.DoubleType, false);

  public final Param<String> probabilitiesCol =
      text("probabilitiesCol", "column of each label's probability");

  public final Param<String> logitsCol = text("logitsCol", "column of each label's logit");

  /** Makes a classifier with a name of its own. */
  public TextClassifier() {
    this(Identifiable.randomUID("textClassifier"));
  }

  /** Makes a classifier with this name. */
  public TextClassifier(String uid) {
    super(uid);
  }

  /** Returns a reader of classifiers that were written. */
  public static MLReader<TextClassifier> read() {
    return new DefaultParamsReader<>();
  }

  /** Reads a classifier that was written. */
  public static TextClassifier load(String path) {
    return read().load(path);
  }

  /** Sets the column of each label's probability; default: there is none. */
  public TextClassifier setProbabilitiesCol(String name) {
    return with(probabilitiesCol, name);
  }

  /** Sets the column of each label's logit; default: there is none. */
  public TextClassifier setLogitsCol(String name) {
    return with(logitsCol, name);
  }

  @Override
  StructType added(StructType schema) {
    String type = orElse(dtype, null);
    InvalidInputException.require(
        !"int8".equals(type) && !"int4".equals(type),
        uid() + ": dtype",
        "float32 or bfloat16",
        type);
    Columns.requireAbsent(uid(), schema, required(outputCol));
    StructType all = schema.add(getOrDefault(outputCol), DataTypes.StringType);
    for (Param<String> column : List.of(probabilitiesCol, logitsCol)) {
      if (isDefined(column)) {
        Columns.requireAbsent(uid(), all, getOrDefault(column));
        all = all.add(getOrDefault(column), BY_LABEL);
      }
    }
    return all;
  }

  @Override
  MapPartitionsFunction<Row, Row> work(StructType schema) {
    return new Task(
        key(null),
        schema.fieldIndex(getOrDefault(inputCol)),
        isDefined(probabilitiesCol),
        isDefined(logitsCol));
  }

  private record Task(ModelKey key, int input, boolean probabilities, boolean logits)
      implements MapPartitionsFunction<Row, Row> {

    private Classifier load() {
      return Classifier.load(
          key.modelFolder(),
          new Classifier.LoadOptions()
              .dtype(key.dtype())
              .device(key.device())
              .threads(key.threads()));
    }

    @Override
    public Iterator<Row> call(Iterator<Row> rows) {
      ExecutorModels.Lease<Classifier> lease =
          ExecutorModels.lease(key, Classifier.class, this::load);
      ExecutorModels.atEndOfTask(lease::close);
      return new Iterator<>() {
        private Iterator<Row> scored = Collections.emptyIterator();

        @Override
        public boolean hasNext() {
          return scored.hasNext() || rows.hasNext();
        }

        @Override
        public Row next() {
          if (!scored.hasNext()) {
            scored = scored(lease.model(), rows).iterator();
          }
          return scored.next();
        }
      };
    }

    private List<Row> scored(Classifier classifier, Iterator<Row> rows) {
      List<Row> batch = new ArrayList<>();
      List<String> texts = new ArrayList<>();
      while (batch.size() < key.batchRows() && rows.hasNext()) {
        Row row = rows.next();
        batch.add(row);
        if (!row.isNullAt(input)) {
          texts.add(row.getString(input));
        }
      }
      Iterator<Classifier.Scores> scores = classifier.score(texts).iterator();
      return batch.stream()
          .map(row -> Columns.with(row, columns(row.isNullAt(input) ? null : scores.next())))
          .toList();
    }

    private Object[] columns(Classifier.Scores scores) {
      List<Object> columns = new ArrayList<>();
      columns.add(scores == null ? null : scores.label());
      if (probabilities) {
        columns.add(scores == null ? null : CollectionConverters.asScala(scores.probabilities()));
      }
      if (logits) {
        columns.add(scores == null ? null : CollectionConverters.asScala(scores.logits()));
      }
      return columns.toArray();
    }
  }
}
