package dev.precis.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Classifier;
import dev.precis.T5;
import dev.precis.evaluation.Rouge;
import dev.precis.generation.GenerationOptions;
import dev.precis.io.InvalidInputException;
import dev.precis.text.PromptTemplate;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.ml.Pipeline;
import org.apache.spark.ml.PipelineModel;
import org.apache.spark.ml.PipelineStage;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class StagesTest {
  private static final List<String> TEXTS =
      List.of(
          "Tom: The battery is dead.\nAnn: I will bring a new one.",
          "Ann: Where is the key?\nTom: Under the stone.\nAnn: Thanks!",
          "Tom: Two nights, please.",
          "Ann: The train is late again, we should take the bus from the station.",
          "Tom: Bring milk.");

  private static SparkSession spark;

  @BeforeAll
  static void start() {
    spark = LocalSpark.start("local[2,3]"); // a task may fail twice
  }

  @AfterAll
  static void stop() {
    spark.stop();
    ExecutorModels.closeUnused();
    assertEquals(0, ExecutorModels.loaded(), "a task kept its model");
  }

  private static T5Generator generator() {
    return new T5Generator()
        .setModel(LocalSpark.fixture("t5-tiny"))
        .setInputCol("text")
        .setOutputCol("summary")
        .setMaxNewTokens(12)
        .setThreads(1);
  }

  private static Map<Long, String> byId(Dataset<Row> rows, String column) {
    Map<Long, String> all = new HashMap<>();
    for (Row row : rows.select("id", column).collectAsList()) {
      all.put(row.getLong(0), row.getString(1));
    }
    return all;
  }

  private static List<String> alone(GenerationOptions options, String... adapters) {
    T5.LoadOptions how =
        new T5.LoadOptions()
            .threads(1)
            .adapters(Stream.of(adapters).map(LocalSpark::fixture).map(Path::of).toList());
    try (T5 t5 = T5.load(Path.of(LocalSpark.fixture("t5-tiny")), how)) {
      return TEXTS.stream()
          .map(text -> t5.generate(PromptTemplate.DEFAULT.fill(text), options).text())
          .toList();
    }
  }

  @Test
  void rowsGetTheTextsThatTheyGetAlone() {
    List<String> texts = new ArrayList<>(TEXTS);
    texts.add(null);
    Map<Long, String> all =
        byId(
            generator()
                .setTemplate(PromptTemplate.DEFAULT.text())
                .setBatchRows(2)
                .transform(LocalSpark.texts(spark, texts, 3)),
            "summary");
    List<String> want = alone(GenerationOptions.builder().maxNewTokens(12).build());
    for (int i = 0; i < TEXTS.size(); i++) {
      assertEquals(want.get(i), all.get((long) i));
    }
    assertNull(all.get((long) TEXTS.size()));
    assertEquals(1, ExecutorModels.loaded(), "three tasks share one model");
  }

  @Test
  void beamsAndAnAdapterAreThoseOfTheEngine() {
    Map<Long, String> all =
        byId(
            generator()
                .setTemplate(PromptTemplate.DEFAULT.text())
                .setAdapter(LocalSpark.fixture("t5-tiny-lora"))
                .setNumBeams(3)
                .setLengthPenalty(0.6)
                .transform(LocalSpark.texts(spark, TEXTS, 1)),
            "summary");
    GenerationOptions beams =
        GenerationOptions.builder().maxNewTokens(12).numBeams(3).lengthPenalty(0.6f).build();
    List<String> want = alone(beams, "t5-tiny-lora");
    for (int i = 0; i < TEXTS.size(); i++) {
      assertEquals(want.get(i), all.get((long) i));
    }
  }

  /** Fails the first attempt of every task, in the middle of its rows. */
  private static Dataset<Row> failingOnce(Dataset<Row> rows) {
    MapPartitionsFunction<Row, Row> failing =
        each -> {
          List<Row> read = new ArrayList<>();
          while (each.hasNext()) {
            read.add(each.next());
            if (TaskContext.get().attemptNumber() == 0) {
              throw new IllegalStateException("the first attempt of a task fails");
            }
          }
          return read.iterator();
        };
    return rows.mapPartitions(failing, Encoders.row(rows.schema()));
  }

  @Test
  void sampledRowsAreTheSameInEveryPartitionAndAttempt() {
    T5Generator sampling =
        generator().setSample(true).setTemperature(1.5).setTopK(0).setSeed(7).setIdCol("id");
    Map<Long, String> once = byId(sampling.transform(LocalSpark.texts(spark, TEXTS, 1)), "summary");
    Map<Long, String> again =
        byId(failingOnce(sampling.transform(LocalSpark.texts(spark, TEXTS, 2))), "summary");
    assertEquals(once, again);
    Map<Long, String> other =
        byId(sampling.setSeed(8).transform(LocalSpark.texts(spark, TEXTS, 1)), "summary");
    assertNotEquals(once, other);
    assertEquals(TEXTS.size(), once.size());
  }

  @Test
  void rowsWithTheSameTextAreToldApartByTheirIds() {
    List<String> same = Collections.nCopies(4, TEXTS.getFirst());
    T5Generator sampling = generator().setSample(true).setTemperature(1.5).setTopK(0);
    Dataset<Row> rows = LocalSpark.texts(spark, same, 1);
    assertEquals(1, byId(sampling.transform(rows), "summary").values().stream().distinct().count());
    sampling.setIdCol("id");
    assertTrue(byId(sampling.transform(rows), "summary").values().stream().distinct().count() > 1);
  }

  private static TextClassifier classifier() {
    return new TextClassifier()
        .setModel(LocalSpark.fixture("roberta-tiny"))
        .setInputCol("text")
        .setOutputCol("label")
        .setProbabilitiesCol("probabilities")
        .setLogitsCol("logits")
        .setThreads(1);
  }

  @Test
  void labelsAndNumbersAreThoseOfTheClassifier() {
    List<String> texts = new ArrayList<>(TEXTS);
    texts.add(2, null);
    List<Row> rows =
        classifier()
            .setBatchRows(2)
            .transform(LocalSpark.texts(spark, texts, 1))
            .orderBy("id")
            .collectAsList();
    try (Classifier alone = Classifier.load(Path.of(LocalSpark.fixture("roberta-tiny")))) {
      for (int i = 0; i < texts.size(); i++) {
        if (texts.get(i) == null) {
          assertTrue(rows.get(i).isNullAt(2) && rows.get(i).isNullAt(3), "null has no label");
          continue;
        }
        Classifier.Scores want = alone.score(List.of(texts.get(i))).getFirst();
        assertEquals(want.label(), rows.get(i).getString(2));
        assertEquals(want.probabilities(), rows.get(i).getJavaMap(3));
        assertEquals(want.logits(), rows.get(i).getJavaMap(4));
      }
    }
  }

  @Test
  void aPipelineThatWasWrittenDoesTheSame(@TempDir Path folder) throws Exception {
    Pipeline stages =
        new Pipeline()
            .setStages(
                new PipelineStage[] {
                  generator().setSample(true).setTopP(0.9).setSeed(1L << 40).setIdCol("id"),
                  classifier().setInputCol("summary")
                });
    Dataset<Row> rows = LocalSpark.texts(spark, TEXTS, 2);
    PipelineModel model = stages.fit(rows);
    String path = folder.resolve("pipeline").toUri().toString();
    model.write().save(path);
    PipelineModel read = PipelineModel.load(path);
    assertEquals(
        model.transform(rows).orderBy("id").collectAsList(),
        read.transform(rows).orderBy("id").collectAsList());
    T5Generator generator = (T5Generator) read.stages()[0];
    assertEquals(0.9, generator.getOrDefault(generator.topP));
    assertEquals(1L << 40, generator.getOrDefault(generator.seed));
    assertEquals(model.stages()[0].uid(), generator.uid());
    assertEquals(model.stages()[0].explainParams(), generator.explainParams());
  }

  @Test
  void anEvaluatorThatWasWrittenEvaluatesAlike(@TempDir Path folder) throws Exception {
    StructType schema =
        new StructType()
            .add("summary", DataTypes.StringType)
            .add("one", DataTypes.StringType)
            .add("several", DataTypes.createArrayType(DataTypes.StringType));
    List<Row> rows = new ArrayList<>();
    List<String> texts = List.of("the cat sat on the mat", "a dog barked", "nothing in common");
    List<String> references = List.of("a cat sat on a mat", "the dogs barked loudly", "x y z");
    for (int i = 0; i < texts.size(); i++) {
      String[] several = {references.get(i), "the cat barked on the mat"};
      rows.add(RowFactory.create(texts.get(i), references.get(i), several));
    }
    Dataset<Row> data = spark.createDataset(rows, Encoders.row(schema));
    Rouge rouge = Rouge.of(Rouge.Preset.STEMMER);
    RougeEvaluator evaluator =
        new RougeEvaluator().setPredictionCol("summary").setReferenceCol("one");
    String path = folder.resolve("evaluator").toUri().toString();
    for (Rouge.Metric metric : Rouge.Metric.values()) {
      evaluator.setMetric(metric.id());
      evaluator.write().overwrite().save(path);
      double one = 0;
      double best = 0;
      for (int i = 0; i < texts.size(); i++) {
        one += metric.of(rouge.score(texts.get(i), references.get(i))).f1() / texts.size();
        best +=
            metric
                    .of(
                        rouge.score(
                            texts.get(i),
                            List.of(references.get(i), "the cat barked on the mat"),
                            Rouge.MultiReference.MAX))
                    .f1()
                / texts.size();
      }
      RougeEvaluator read = RougeEvaluator.load(path);
      assertEquals(one, read.evaluate(data), 1e-9);
      assertEquals(read.evaluate(data), read.evaluate(data.repartition(3)));
      assertEquals(best, read.setReferenceCol("several").evaluate(data), 1e-9);
      assertTrue(read.isLargerBetter());
    }
  }

  static Stream<Arguments> badStages() {
    return Stream.of(
        Arguments.of(new T5Generator("g"), "g: inputCol must be set, not left out"),
        Arguments.of(
            new T5Generator("g").setInputCol("text"), "g: model must be set, not left out"),
        Arguments.of(
            new T5Generator("g").setModel("m").setInputCol("text"),
            "g: outputCol must be set, not left out"),
        Arguments.of(generator().setInputCol("txt"), "there is no column txt among [id, text]"),
        Arguments.of(generator().setInputCol("id"), "the column id must be a string, not BIGINT"),
        Arguments.of(generator().setOutputCol("text"), "there is a column text already"),
        Arguments.of(generator().setIdCol("key"), "there is no column key among [id, text]"),
        Arguments.of(generator().setDtype("half"), "dtype must be float32, bfloat16, int8 or int4"),
        Arguments.of(generator().setBatchRows(0), "batchRows must be 1 or more, not 0"),
        Arguments.of(generator().setThreads(-1), "threads must be 0 or more, not -1"),
        Arguments.of(generator().setDevice("gpu"), "device must be cpu, cuda, cuda:N or auto"),
        Arguments.of(generator().setNumBeams(0), "num-beams is 0, but must be between 1 and 64"),
        Arguments.of(generator().setTopP(0), "top-p is 0.0, but must be above 0"),
        Arguments.of(generator().setNumBeams(2).setSample(true), "num-beams is 2, but must be 1"),
        Arguments.of(generator().setTemplate("a text"), "has no {dialogue}"),
        Arguments.of(classifier().setDtype("int8"), "dtype must be float32 or bfloat16, not int8"),
        Arguments.of(classifier().setLogitsCol("label"), "there is a column label already"));
  }

  @ParameterizedTest
  @MethodSource("badStages")
  void aBadParameterIsRefusedBeforeAnythingRuns(ModelTransformer<?> stage, String message) {
    Dataset<Row> rows = LocalSpark.texts(spark, TEXTS, 1);
    Exception e = assertThrows(InvalidInputException.class, () -> stage.transform(rows));
    assertTrue(e.getMessage().contains(message), e.getMessage());
  }

  @Test
  void aFolderThatIsNotThereIsNamed() {
    Dataset<Row> rows =
        generator().setModel("no-such-model").transform(LocalSpark.texts(spark, TEXTS, 1));
    Exception e = assertThrows(Exception.class, rows::collectAsList);
    assertTrue(e.getMessage().contains("no-such-model is no folder on an executor"), e::toString);
  }

  @Test
  void badEvaluatorsAreRefused() {
    Dataset<Row> rows = LocalSpark.texts(spark, TEXTS, 1);
    RougeEvaluator evaluator = new RougeEvaluator("e").setPredictionCol("text");
    assertMessage("e: referenceCol must be set", () -> evaluator.evaluate(rows));
    evaluator.setReferenceCol("id");
    assertMessage("the column id must be a string, not BIGINT", () -> evaluator.evaluate(rows));
    evaluator.setReferenceCol("text").setMetric("rouge3");
    assertMessage("metric must be rouge1, rouge2", () -> evaluator.evaluate(rows));
    evaluator.setMetric("rouge1").setPreset("none");
    assertMessage("There is no ROUGE preset 'none'", () -> evaluator.evaluate(rows));
    evaluator.setPreset("rouge_score");
    assertMessage("there are no rows", () -> evaluator.evaluate(rows.limit(0)));
  }

  private static void assertMessage(String part, org.junit.jupiter.api.function.Executable action) {
    Exception e = assertThrows(InvalidInputException.class, action);
    assertTrue(e.getMessage().contains(part), e.getMessage());
  }

  /** Counts how often it is opened, and is open until it is closed. */
  private static final class Counted implements AutoCloseable {
    private static final AtomicInteger OPEN = new AtomicInteger();

    Counted() {
      OPEN.incrementAndGet();
    }

    @Override
    public void close() {
      OPEN.decrementAndGet();
    }
  }

  @Test
  void modelsAreSharedAndMakeRoomForOthersOnceUnused() {
    var first = ExecutorModels.lease("a", Counted.class, Counted::new);
    var second = ExecutorModels.lease("a", Counted.class, Counted::new);
    assertEquals(first.model(), second.model());
    var other = ExecutorModels.lease("b", Counted.class, Counted::new);
    assertEquals(2, Counted.OPEN.get(), "a model in use is not closed");
    first.close();
    first.close();
    other.close();
    var third = ExecutorModels.lease("c", Counted.class, Counted::new);
    assertEquals(2, Counted.OPEN.get(), "a and c: the second user of a is still there");
    second.close();
    third.close();
    ExecutorModels.closeUnused();
    assertEquals(0, Counted.OPEN.get());
  }
}
