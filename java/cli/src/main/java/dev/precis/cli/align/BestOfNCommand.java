package dev.precis.cli.align;

import dev.precis.T5;
import dev.precis.alignment.policy.Prompt;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.Prompts;
import dev.precis.cli.options.AdapterOption;
import dev.precis.cli.options.BatchSizeOption;
import dev.precis.cli.options.ColumnOptions;
import dev.precis.cli.options.ConfigOption;
import dev.precis.cli.options.DecodingOptions;
import dev.precis.cli.options.FileOptions;
import dev.precis.cli.options.GenerationConfigOption;
import dev.precis.cli.options.PromptOptions;
import dev.precis.cli.options.RawOption;
import dev.precis.cli.options.ReadOptions;
import dev.precis.cli.options.ResumeOption;
import dev.precis.cli.options.SamplesOption;
import dev.precis.data.DataFiles;
import dev.precis.data.Dialogue;
import dev.precis.data.DialogueReader;
import dev.precis.generation.GenerationOptions;
import dev.precis.io.InvalidInputException;
import dev.precis.text.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "best-of-n",
    header = "Samples several summaries of each dialogue and keeps the best.",
    description = {
      "Each dialogue gets --samples results, which a reward scores as in precis align. The output"
          + " has one JSON object per line, in the order of the input: {\"id\", \"prompt\","
          + " \"summary\", \"tokens\", \"score\", \"reward\", \"terms\", \"chosen\", \"rejected\","
          + " \"margin\", \"rewards\"}.",
      "\"summary\" and \"chosen\" are the result with the highest reward, the first of several;"
          + " \"tokens\", \"score\" (its log-probability), \"reward\" and \"terms\" (the reward"
          + " before weights) belong to it. \"rejected\" is the result with the lowest reward that"
          + " is not empty, \"margin\" the difference of the two rewards, \"rewards\" those of all"
          + " results. Where all results have the same text or reward, \"rejected\" and \"margin\""
          + " are left out, and a note says how often.",
      "The file is read as it is by 'precis align --pairs', 'precis reward --pairs' and 'precis"
          + " rouge --predictions'. 'precis align --rounds' samples and trains in turn.",
      "Settings of the model's generation_config.json do not apply, except its start and end"
          + " tokens. The results do not depend on --batch-size; a dialogue's samples depend on"
          + " --seed and its place in the input."
    },
    footer = {
      "",
      "Input: "
          + DataFiles.TABLES
          + ", or a folder of them, with a field 'dialogue' (or 'prompt', a whole prompt) and"
          + " optionally 'id'; with 'summary' for --reward rouge.",
      "",
      "Examples:",
      "  precis best-of-n --model google/flan-t5-base --input dialogues.jsonl \\",
      "      --samples 16 --reward facts --reward length:25=0.02 --output best.jsonl",
      "  precis best-of-n --model google/flan-t5-base --adapter sft/adapter \\",
      "      --input dialogues.jsonl --reward-model run/model --output best.jsonl",
      "  precis align --algorithm dpo --model google/flan-t5-base \\",
      "      --adapter sft/adapter --reference adapter:sft/adapter \\",
      "      --pairs best.jsonl --output dpo",
      "  precis rouge --predictions best.jsonl --references dialogues.jsonl"
    })
public final class BestOfNCommand extends BaseCommand {
  private static final String REWARD = "%nReward:%n";

  @Mixin private AdapterOption model = new AdapterOption();
  @Mixin private FileOptions.Input dialogues = new FileOptions.Input();
  @Mixin private ColumnOptions reading = new ColumnOptions();
  @Mixin private FileOptions.Output output = new FileOptions.Output();
  @Mixin private ResumeOption resume = new ResumeOption();
  @Mixin private ConfigOption config = new ConfigOption();
  @Mixin private SamplesOption samples = new SamplesOption();

  @Option(
      names = "--prefer-summary",
      description = {
        "\"chosen\" is the first summary of the data, so that DPO learns from what the reward"
            + " finds worst without leaving what people wrote."
      })
  private boolean prefersSummary;

  @Mixin private PromptOptions promptOptions = new PromptOptions();
  @Mixin private RawOption raw = new RawOption();
  @Mixin private BatchSizeOption batch = new BatchSizeOption();
  @Mixin private DecodingOptions.Sampling sampling = new DecodingOptions.Sampling();

  @ArgGroup(validate = false, heading = REWARD, order = 5)
  private RewardTermOptions reward = new RewardTermOptions();

  @Override
  protected Map<String, String> defaults() {
    return Map.of("--batch-size", "" + BestOfNRun.BATCH_SIZE);
  }

  @Override
  public Integer call() {
    checkUsage();
    GenerationOptions options =
        BestOfNRun.options(this, sampling, samples.samples(), promptOptions.maxSourceLength());
    Path folder = model.folder(this);
    GenerationConfigOption.noteForTraining(
        this, folder, "results are sampled by the options of this command alone");
    List<Prompt> prompts = prompts(folder, read());
    T5.LoadOptions loadOptions =
        common().loadOptions().adapters(model.adapters(this)).weightsCache(weightsCache());
    try (BestOfNWriter results = results(prompts);
        T5 t5 = T5.load(folder, loadOptions);
        RewardTerms terms = RewardTerms.load(this, reward, List.of())) {
      new BestOfNRun(
              this,
              t5,
              terms.total(),
              prompts,
              options,
              batch.batchSize(),
              0,
              results,
              output.toStandardOutput() ? null : output.output())
          .write();
      note(results.statistics());
    }
    return DONE;
  }

  private void checkUsage() {
    if (raw.raw() && promptOptions.hasTemplate()) {
      throw usage("--raw takes prompts as they are, without --template");
    }
    if (resume.resume() && output.toStandardOutput()) {
      throw usage("--resume needs the --output file of the command that was interrupted");
    }
    samples.checkSamples(this);
    batch.checkBatchSize(this);
    promptOptions.check(this);
    reward.check(this);
  }

  private List<Dialogue> read() {
    ReadOptions.Data data = reading.complete(this, dialogues.input());
    List<Dialogue> all = DialogueReader.read(data.path(), data.options());
    for (Dialogue each : all) {
      reward.checkReferences(this, data.given(), each.id(), each.summaries());
      if (prefersSummary && each.summaries().isEmpty()) {
        throw new InvalidInputException(
            "%s, dialogue %s: there is no summary, which --prefer-summary needs"
                .formatted(data.given(), each.id()));
      }
    }
    return all;
  }

  private List<Prompt> prompts(Path folder, List<Dialogue> all) {
    Prompts texts = raw.raw() ? Prompts.raw() : Prompts.of(promptOptions.template());
    List<int[]> sources;
    try (Tokenizer tokenizer = Tokenizer.load(folder)) {
      sources =
          texts.encode(
              tokenizer,
              all,
              dialogues.input().toString(),
              promptOptions.maxSourceLength(),
              promptOptions.truncate());
    }
    List<Prompt> prompts = new ArrayList<>();
    for (int i = 0; i < all.size(); i++) {
      Dialogue dialogue = all.get(i);
      prompts.add(
          new Prompt(dialogue.id(), texts.of(dialogue), sources.get(i), dialogue.summaries()));
    }
    return prompts;
  }

  private BestOfNWriter results(List<Prompt> prompts) {
    return output.toStandardOutput()
        ? new BestOfNWriter(terminal(), prefersSummary)
        : new BestOfNWriter(
            output.output(), resume.resume(), prompts, samples.samples(), prefersSummary);
  }

  private void note(BestOfNStatistics statistics) {
    int without = statistics.dialogues() - statistics.pairs();
    if (without > 0) {
      note(
          "%,d of %,d dialogues have no \"rejected\": all their results have the same text or reward."
              .formatted(without, statistics.dialogues()));
    }
    note(
        "Mean reward: %.4f of all results, %.4f of the chosen ones."
            .formatted(statistics.meanOfSamples(), statistics.meanOfChosen()));
  }
}
