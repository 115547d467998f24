package dev.precis.cli.generate;

import dev.precis.T5;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.Prompts;
import dev.precis.cli.options.AdapterOption;
import dev.precis.cli.options.BatchSizeOption;
import dev.precis.cli.options.ColumnOptions;
import dev.precis.cli.options.ConfigOption;
import dev.precis.cli.options.FileOptions;
import dev.precis.cli.options.PromptOptions;
import dev.precis.cli.options.RawOption;
import dev.precis.cli.options.ReadOptions;
import dev.precis.cli.options.ResumeOption;
import dev.precis.data.DataFiles;
import dev.precis.data.Dialogue;
import dev.precis.data.DialogueReader;
import dev.precis.generation.GenerationDefaults;
import dev.precis.generation.GenerationOptions;
import dev.precis.generation.GenerationOptions.Draft;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "generate",
    header = "Summarizes dialogues, or continues any other prompt.",
    description = {
      "Writes one JSON object per line, in the order of the input: {\"id\", \"summary\","
          + " \"tokens\", \"score\"}. The tokens do not include the start token. The score is the"
          + " sum of their log-probabilities, which beam search divides by length^length-penalty."
          + " With --num-return-sequences above 1 every result has a line of its own, the best one"
          + " first, and \"return\" counts them from 0."
    },
    footer = {
      "",
      "Input: "
          + DataFiles.TABLES
          + ", or a folder of them, with a field 'dialogue' (or 'prompt', a whole prompt) and"
          + " optionally 'id'; .txt holds one dialogue.",
      "",
      "Examples:",
      "  precis generate --model google/flan-t5-base --input dialogues.jsonl \\",
      "      --output out.jsonl",
      "  precis generate --model flan-t5-base --dtype int8 --input chat.txt --stream",
      "  precis generate --model flan-t5-base --prompt 'Translate to German: Hello!'",
      "  precis generate --model flan-t5-base --adapter my-lora --input new.csv \\",
      "      --num-beams 4",
      "  precis generate --model flan-t5-base --input new.jsonl --shots 2 \\",
      "      --examples old.jsonl",
      "  zcat all.jsonl.gz | precis generate --model flan-t5-base --input - \\",
      "      | jq -r .summary"
    })
public final class GenerateCommand extends BaseCommand {
  @Mixin private AdapterOption model = new AdapterOption();

  @ArgGroup(validate = false)
  private FileOptions.Input dialogues = new FileOptions.Input();

  @Option(
      names = "--prompt",
      paramLabel = "TEXT",
      description = "One whole prompt instead of --input; prints only the generated text.")
  private String prompt;

  @Mixin private ColumnOptions reading = new ColumnOptions();
  @Mixin private FileOptions.Output output = new FileOptions.Output();
  @Mixin private ResumeOption resume = new ResumeOption();
  @Mixin private ConfigOption config = new ConfigOption();

  @Option(
      names = "--hold",
      paramLabel = "QUEUE",
      description =
          "Put the texts into this queue instead, where they wait until somebody approves them: see"
              + " precis help review.")
  private Path hold;

  @Option(
      names = "--stream",
      description = "Print the text itself while it is generated, instead of JSON lines.")
  private boolean stream;

  @Mixin private PromptOptions promptOptions = new PromptOptions();

  @Mixin private RawOption raw = new RawOption();

  @Option(
      names = "--shots",
      paramLabel = "K",
      defaultValue = "0",
      description =
          "Few-shot prompts: K examples before each dialogue (default: ${DEFAULT-VALUE}).")
  private int shots;

  @Option(
      names = "--examples",
      paramLabel = "FILE",
      description = "Dialogues with summaries; --shots takes the first ones.")
  private Path examples;

  @Mixin private BatchSizeOption batch = new BatchSizeOption();
  @Mixin private GenerationFlags generation = new GenerationFlags();

  @Override
  protected Map<String, String> defaults() {
    return Map.of("--batch-size", "" + T5.DEFAULT_BATCH_SIZE);
  }

  @Override
  public Integer call() {
    checkUsage();
    Prompts prompts =
        raw.raw() || prompt != null
            ? Prompts.raw()
            : shots > 0 ? fewShot() : Prompts.of(promptOptions.template());
    List<Dialogue> all = dialogues();
    T5.LoadOptions loadOptions =
        common()
            .loadOptions()
            .adapters(model.adapters(this))
            .generationConfig(generation.folder().follows())
            .weightsCache(weightsCache());
    Path folder = model.folder(this);
    GenerationOptions options = options(folder);
    if (stream || prompt != null && output.output() == null && hold == null) {
      try (T5 t5 = T5.load(folder, loadOptions)) {
        List<int[]> sources = encode(t5, all, prompts);
        noteDrafts(t5, options);
        if (stream) {
          stream(t5, all, sources, options);
        } else {
          for (var result :
              t5.generateTokens(sources, options, batch.batchSize(), null).getFirst()) {
            terminal().println(t5.decode(result).text());
          }
        }
      }
      return DONE;
    }
    if (hold != null) {
      List<Path> adapters = model.adapters(this);
      try (HeldResults held = new HeldResults(hold, folder, adapters, all);
          ResultWriter results = new ResultWriter(held, all, options.numReturnSequences());
          T5 t5 = T5.load(folder, loadOptions)) {
        write(t5, all, prompts, options, results, null);
      }
      return DONE;
    }
    try (ResultWriter results = results(all, options.numReturnSequences());
        T5 t5 = T5.load(folder, loadOptions)) {
      write(t5, all, prompts, options, results, output.toStandardOutput() ? null : output.output());
    }
    return DONE;
  }

  private void write(
      T5 t5,
      List<Dialogue> all,
      Prompts prompts,
      GenerationOptions options,
      ResultWriter results,
      Path file) {
    List<int[]> sources = encode(t5, all, prompts);
    noteDrafts(t5, options);
    new GenerationRun(this, t5, sources, options, batch.batchSize(), results, file).write();
  }

  private void noteDrafts(T5 t5, GenerationOptions options) {
    if (options.draft() != Draft.NONE && t5.device().gpu() != null) {
      note("--draft has no effect on a GPU, which decodes the same tokens without drafts.");
    }
  }

  /** Returns the options before the model is loaded, which takes longer. */
  private GenerationOptions options(Path folder) {
    GenerationDefaults defaults = generation.folder().defaults(folder);
    GenerationOptions options = generation.options(this, defaults, promptOptions.maxSourceLength());
    if (stream && (options.numBeams() > 1 || options.numReturnSequences() > 1)) {
      throw usage("--stream shows one sequence as it grows, without beams and several results");
    }
    return options;
  }

  private void checkUsage() {
    Path input = dialogues.input();
    requireOneOf("--input", input, "--prompt", prompt);
    if (raw.raw() && (promptOptions.hasTemplate() || shots > 0)) {
      throw usage("--raw takes prompts as they are, without --template and --shots");
    }
    if (prompt != null && (promptOptions.hasTemplate() || shots > 0 || examples != null)) {
      throw usage("--prompt is a whole prompt, without --template, --shots and --examples");
    }
    if (prompt != null && prompt.isBlank()) {
      throw usage("--prompt is empty");
    }
    if (shots > 0 && examples == null) {
      throw usage("--shots needs --examples, a file with dialogues and summaries");
    }
    if (examples != null && shots < 1) {
      throw usage("--examples needs --shots, the number of examples in a prompt");
    }
    if (stream && output.output() != null) {
      throw usage("--stream prints to standard output, without --output");
    }
    if (resume.resume() && output.toStandardOutput()) {
      throw usage("--resume needs the --output file of the command that was interrupted");
    }
    if (hold != null && (stream || output.output() != null || resume.resume())) {
      throw usage("--hold keeps the texts back, without --output, --stream and --resume");
    }
    batch.checkBatchSize(this);
    promptOptions.check(this);
    generation.check(this);
  }

  private List<Dialogue> dialogues() {
    return prompt == null
        ? read(dialogues.input())
        : List.of(new Dialogue("prompt", prompt, List.of(), null, true));
  }

  private Prompts fewShot() {
    ReadOptions.Data data = reading.training(this, examples);
    return Prompts.of(promptOptions.template(), shots, data.path(), data.options());
  }

  private List<Dialogue> read(Path input) {
    ReadOptions.Data data = reading.complete(this, input);
    return DialogueReader.read(data.path(), data.options());
  }

  private ResultWriter results(List<Dialogue> all, int perDialogue) {
    return output.toStandardOutput()
        ? new ResultWriter(terminal(), all, perDialogue)
        : new ResultWriter(output.output(), resume.resume(), all, perDialogue);
  }

  private List<int[]> encode(T5 t5, List<Dialogue> all, Prompts prompts) {
    String source = prompt != null ? "--prompt" : dialogues.input().toString();
    return prompts.encode(
        t5.tokenizer(), all, source, promptOptions.maxSourceLength(), promptOptions.truncate());
  }

  private void stream(T5 t5, List<Dialogue> all, List<int[]> sources, GenerationOptions options) {
    for (int i = 0; i < sources.size(); i++) {
      if (sources.size() > 1) {
        terminal().print(all.get(i).id() + ": ");
      }
      t5.stream(sources.get(i), options, i, terminal()::print);
      terminal().println("");
    }
  }
}
