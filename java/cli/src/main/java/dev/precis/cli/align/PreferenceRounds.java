package dev.precis.cli.align;

import dev.precis.T5;
import dev.precis.alignment.policy.Prompt;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.PartialFile;
import dev.precis.cli.options.DecodingOptions;
import dev.precis.cli.options.GenerationConfigOption;
import dev.precis.cli.options.PairColumnOptions;
import dev.precis.cli.options.ReadOptions;
import dev.precis.cli.options.RunTarget;
import dev.precis.cli.options.StepOptions;
import dev.precis.cli.options.TargetOptions;
import dev.precis.cli.report.Curves;
import dev.precis.cli.report.Result;
import dev.precis.cli.report.RunReport;
import dev.precis.cli.train.NextCommand;
import dev.precis.cli.train.RunConfig;
import dev.precis.generation.GenerationOptions;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.text.Tokenizer;
import dev.precis.training.RunFolder;
import dev.precis.training.TrainingOptions;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import tools.jackson.databind.node.ObjectNode;

/**
 * Aligns to a reward by preferences, in rounds (iterative DPO, Xu et al. 2023): each samples with
 * the policy as it is, makes a pair of the best and the worst sample of each prompt (of n samples,
 * as RAFT, Dong et al. 2023, takes the best), and trains the policy on the pairs. The policy at the
 * start of a round is that round's reference.
 *
 * <p>A round's samples are numbered on from those of the round before, so that each has random
 * numbers of its own. Each file of a round is complete when it has its name, so that a run that is
 * resumed skips what is there.
 *
 * @param data dialogues to respond to
 */
record PreferenceRounds(
    PolicySetup setup,
    Path data,
    ReadOptions reading,
    TargetOptions targets,
    PreferenceOptions flags,
    StepOptions steps,
    RewardTermOptions rewards,
    DecodingOptions.Sampling sampling,
    RoundOptions rounds) {
  /** Holds what all rounds sample with. */
  private record Sampler(List<Prompt> prompts, GenerationOptions options, RewardTerms reward) {}

  /** Runs the rounds; returns the exit code. */
  int run() {
    BaseCommand command = setup.command();
    if (data == null) {
      throw command.usage("--data is missing: the dialogues to respond to");
    }
    rounds.check(command);
    rewards.check(command);
    GenerationOptions options =
        BestOfNRun.options(command, sampling, rounds.samples(), setup.prompts().maxSourceLength());
    TrainingOptions training = alignment(1, setup).check();
    GenerationConfigOption.noteForTraining(
        command, setup.folder(), "responses are sampled by the options of this command alone");
    setup.checkMemory(
        training.optimizer(),
        PreferenceOptions.needsReference(setup.algorithm()),
        rewards.weightMemory(command));
    ReadOptions.Data dialogues = reading.training(command, data);
    List<Prompt> prompts;
    try (Tokenizer tokenizer = Tokenizer.load(setup.folder())) {
      prompts = PolicyPrompts.all(command, tokenizer, setup.prompts(), dialogues);
    }
    for (Prompt prompt : prompts) {
      rewards.checkReferences(command, data, prompt.id(), prompt.references());
    }
    // A run that is there is refused where the folder is opened.
    if (!setup.run().resume()
        && !RunFolder.holdsRun(setup.run().output())
        && Files.exists(folder(1))) {
      throw new InvalidInputException(
          folder(1) + " is left from another run: remove it, or choose another --output");
    }
    try (RewardTerms reward = RewardTerms.load(command, rewards, List.of());
        RunFolder run = config(dialogues, options, training, reward).open(setup.run())) {
      return run(run, new Sampler(prompts, options, reward));
    }
  }

  private RunConfig config(
      ReadOptions.Data dialogues,
      GenerationOptions options,
      TrainingOptions training,
      RewardTerms reward) {
    RunConfig config = setup.config().data("data", dialogues, reading);
    if (PreferenceOptions.needsReference(setup.algorithm())) {
      config.put("reference", "the start of each round");
    }
    rewards.writeTo(config, setup.command(), reward.templates());
    config
        .put("rounds", rounds.rounds())
        .put("samples", rounds.samples())
        .put("max_new_tokens", options.maxNewTokens())
        .put("min_new_tokens", options.minNewTokens())
        .put("temperature", RunConfig.decimal(options.temperature()))
        .put("top_k", options.topK())
        .put("top_p", RunConfig.decimal(options.topP()));
    return alignment(1, setup).complete(config, training);
  }

  private int run(RunFolder run, Sampler sampler) {
    BaseCommand command = setup.command();
    // Written again from the rounds' files, so that a resumed run has each line once.
    run.openMetrics(0);
    List<BestOfNStatistics> all = new ArrayList<>();
    PolicySetup start = setup;
    Path last = null;
    for (int round = 1; round <= rounds.rounds(); round++) {
      BestOfNStatistics statistics = pairs(run, round, start, sampler);
      record(run, round, statistics);
      all.add(statistics);
      PolicySetup its = start.in(target(round));
      last = its.run().output().resolve(its.method().resultName());
      if (!Files.exists(last)) {
        int code = alignment(round, its).train();
        if (code != BaseCommand.DONE) {
          return code;
        }
      }
      start = start.continuedFrom(last);
    }
    copyResult(run, last);
    try (RunReport report = new RunReport(run, rounds.rounds(), Curves.ROUNDS)) {
      report.results(results(all));
      report.write();
    }
    RunConfig.checkModelUnchanged(setup.run().output(), setup.folder());
    String result = setup.method().resultName();
    command.note(
        "Done after %,d rounds: %s".formatted(rounds.rounds(), run.folder().resolve(result)));
    NextCommand.afterT5(command, setup.model(), run.folder(), result);
    return BaseCommand.DONE;
  }

  /** Compares the policy that the last round sampled with the one before any training. */
  private static List<Result> results(List<BestOfNStatistics> rounds) {
    boolean compares = rounds.size() > 1;
    return List.of(
        new Result(
            "The mean reward of the samples",
            compares ? rounds.getFirst().meanOfSamples() : Double.NaN,
            rounds.getLast().meanOfSamples(),
            null,
            true,
            compares
                ? "samples of the first round, before any training, and of the last of %,d"
                    .formatted(rounds.size())
                : "samples of the only round, before its training"));
  }

  private Path folder(int round) {
    return setup.run().output().resolve("round-" + round);
  }

  private Path pairsFile(int round) {
    return folder(round).resolve("pairs.jsonl");
  }

  /** Returns the run of a round, which is resumed where it was begun. */
  private RunTarget target(int round) {
    Path output = folder(round).resolve("run");
    return new RunTarget(output, RunFolder.holdsRun(output), setup.run().checksMemory());
  }

  private PreferenceAlignment alignment(int round, PolicySetup its) {
    return new PreferenceAlignment(
        its, pairsFile(round), new PairColumnOptions(), targets, flags, steps);
  }

  /** Samples a round's pairs, or reads those that are there. */
  private BestOfNStatistics pairs(RunFolder run, int round, PolicySetup start, Sampler sampler) {
    Path file = pairsFile(round);
    BestOfNStatistics statistics =
        Files.exists(file) ? read(file, sampler) : sample(run, round, start, sampler);
    setup
        .command()
        .note(
            "Round %,d of %,d: %,d pairs from %,d dialogues; mean reward %.4f of all samples, %.4f of the chosen ones."
                .formatted(
                    round,
                    rounds.rounds(),
                    statistics.pairs(),
                    statistics.dialogues(),
                    statistics.meanOfSamples(),
                    statistics.meanOfChosen()));
    if (statistics.pairs() == 0) {
      throw new InvalidInputException(
          "%s has no pair: all samples of each dialogue have the same text or reward; raise --samples or --temperature, or take another --reward, for another --output"
              .formatted(file));
    }
    return statistics;
  }

  private BestOfNStatistics read(Path file, Sampler sampler) {
    BestOfNStatistics statistics = new BestOfNStatistics();
    PartialFile.readLines(
            file,
            (number, line) ->
                BestOfNWriter.belongs(number, line, sampler.prompts, rounds.samples()))
        .forEach(statistics::add);
    if (statistics.dialogues() != sampler.prompts.size()) {
      throw new InvalidInputException(
          "%s has %d lines where %d were written: remove it to sample again"
              .formatted(file, statistics.dialogues(), sampler.prompts.size()));
    }
    return statistics;
  }

  private BestOfNStatistics sample(RunFolder run, int round, PolicySetup start, Sampler sampler) {
    BaseCommand command = setup.command();
    Path file = pairsFile(round);
    try {
      Files.createDirectories(file.getParent());
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot write " + file + ": " + e.getMessage(), e);
    }
    // The type that the policy is trained in, so that it is the same policy.
    T5.LoadOptions loadOptions =
        command
            .common()
            .loadOptions()
            .dtype(command.common().trainingType())
            .adapters(
                start.adapter() == null ? List.of() : List.of(command.resolve(start.adapter())));
    try (BestOfNWriter results =
            new BestOfNWriter(
                file, setup.run().resume(), sampler.prompts, rounds.samples(), false);
        T5 t5 = T5.load(start.folder(), loadOptions)) {
      run.begin();
      new BestOfNRun(
              command,
              t5,
              sampler.reward.total(),
              sampler.prompts,
              sampler.options,
              BestOfNRun.BATCH_SIZE,
              (round - 1L) * sampler.prompts.size(),
              results,
              file)
          .write();
      return results.statistics();
    }
  }

  private static void record(RunFolder run, int round, BestOfNStatistics statistics) {
    ObjectNode line = Json.mapper().createObjectNode();
    line.put("step", round);
    line.put("dialogues", statistics.dialogues());
    line.put("pairs", statistics.pairs());
    line.put("reward/samples", statistics.meanOfSamples());
    line.put("reward/chosen", statistics.meanOfChosen());
    run.metric(line);
  }

  /** Gives the last round's result its place in the run's folder. */
  private void copyResult(RunFolder run, Path last) {
    run.result(
        setup.method().resultName(),
        folder -> {
          try (Stream<Path> files = Files.list(last)) {
            for (Path file : files.toList()) {
              Files.copy(file, folder.resolve(file.getFileName()));
            }
          } catch (IOException e) {
            throw new UncheckedIOException("Cannot copy " + last + ": " + e.getMessage(), e);
          }
        });
  }
}
