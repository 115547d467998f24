package dev.precis.cli.evaluate;

import dev.precis.Classifier;
import dev.precis.TextStates;
import dev.precis.cli.common.BaseCommand;
import dev.precis.data.Dialogue;
import dev.precis.evaluation.BertScore;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Option;

/** Declares the options of BERTScore. */
final class BertScoreOptions {
  @Option(
      names = "--bertscore-model",
      paramLabel = "M",
      description =
          "The encoder of --metrics bertscore (RoBERTa, XLM-RoBERTa, BERT, DistilBERT, ELECTRA,"
              + " DeBERTa): a folder, or a hub ID that was downloaded.")
  private String model;

  @Option(
      names = "--bertscore-layer",
      paramLabel = "N",
      description =
          "The layer whose output is compared; 0: the embeddings (default: the 17th of 24, or as"
              + " far up in another model).")
  private Integer layer;

  @Option(
      names = "--bertscore-idf",
      description = "Weigh tokens by their inverse document frequency among the references.")
  private boolean idf;

  @Option(
      names = "--bertscore-baseline",
      paramLabel = "FILE",
      description =
          "Rescale so that unrelated texts get 0, by the layer's line of this file (LAYER,P,R,F, a"
              + " header first).")
  private Path baseline;

  /** Makes sure that the options go with the metrics. */
  void check(BaseCommand command, boolean wanted) {
    if (wanted && model == null) {
      throw command.usage("--metrics bertscore needs --bertscore-model");
    }
    if (!wanted && (model != null || layer != null || idf || baseline != null)) {
      throw command.usage(
          "--bertscore-model, --bertscore-layer, --bertscore-idf and --bertscore-baseline need"
              + " --metrics bertscore");
    }
    if (layer != null && layer < 0) {
      throw command.usage("--bertscore-layer must be 0 or more, not " + layer);
    }
  }

  /** Loads the encoder and reads the references. */
  BertScoreMetric metric(BaseCommand command, List<Dialogue> dialogues) {
    Path folder = command.resolve(model);
    TextStates encoder =
        TextStates.load(
            folder,
            layer == null ? -1 : layer,
            new Classifier.LoadOptions().threads(command.common().threads()));
    try {
      return new BertScoreMetric(
          encoder,
          dialogues,
          idf,
          baseline == null ? null : BertScore.Baseline.read(baseline, encoder.layer()),
          folder.toString());
    } catch (RuntimeException | Error e) {
      encoder.close();
      throw e;
    }
  }
}
