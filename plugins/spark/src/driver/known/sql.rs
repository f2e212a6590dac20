//! `CodeGenerator` and `HiveExternalCatalog`.

use super::Figure;
use crate::driver::reading::Part;
use crate::telemetry as t;

pub(super) fn code_generator(figure: &Figure<'_>, metrics: &mut t::Metrics) -> bool {
    match figure.name {
        "compilationTime" => compilation_time(figure, metrics),
        "generatedClassSize" => class_size(figure, metrics),
        "generatedMethodSize" => method_size(figure, metrics),
        "sourceCodeSize" => source_size(figure, metrics),
        _ => return false,
    }
    true
}

/// The histogram holds milliseconds.
fn compilation_time(figure: &Figure<'_>, metrics: &mut t::Metrics) {
    let seconds = figure.millis();
    match figure.part {
        Part::Value | Part::Count => {
            metrics.spark_driver_code_generator_compilation_count(figure.start, figure.count);
        }
        Part::Mean => metrics.spark_driver_code_generator_compilation_average_time(seconds),
        Part::StdDev => metrics.spark_driver_code_generator_compilation_time_std_dev(seconds),
        Part::Quantile(quantile) => {
            let attributes = t::SparkDriverCodeGeneratorCompilationTimeQuantile { quantile };
            metrics.spark_driver_code_generator_compilation_time_quantile(&attributes, seconds);
        }
    }
}

fn class_size(figure: &Figure<'_>, metrics: &mut t::Metrics) {
    let bytes = figure.number;
    match figure.part {
        Part::Value | Part::Count => {
            metrics.spark_driver_code_generator_generated_class_count(figure.start, figure.count);
        }
        Part::Mean => metrics.spark_driver_code_generator_generated_class_average_size(bytes),
        Part::StdDev => metrics.spark_driver_code_generator_generated_class_size_std_dev(bytes),
        Part::Quantile(quantile) => {
            let attributes = t::SparkDriverCodeGeneratorGeneratedClassSizeQuantile { quantile };
            metrics.spark_driver_code_generator_generated_class_size_quantile(&attributes, bytes);
        }
    }
}

fn method_size(figure: &Figure<'_>, metrics: &mut t::Metrics) {
    let bytes = figure.number;
    match figure.part {
        Part::Value | Part::Count => {
            metrics.spark_driver_code_generator_generated_method_count(figure.start, figure.count);
        }
        Part::Mean => metrics.spark_driver_code_generator_generated_method_average_size(bytes),
        Part::StdDev => metrics.spark_driver_code_generator_generated_method_size_std_dev(bytes),
        Part::Quantile(quantile) => {
            let attributes = t::SparkDriverCodeGeneratorGeneratedMethodSizeQuantile { quantile };
            metrics.spark_driver_code_generator_generated_method_size_quantile(&attributes, bytes);
        }
    }
}

fn source_size(figure: &Figure<'_>, metrics: &mut t::Metrics) {
    let characters = figure.number;
    match figure.part {
        Part::Value | Part::Count => {
            metrics.spark_driver_code_generator_source_code_operations(figure.start, figure.count);
        }
        Part::Mean => metrics.spark_driver_code_generator_source_code_average_size(characters),
        Part::StdDev => metrics.spark_driver_code_generator_source_code_size_std_dev(characters),
        Part::Quantile(quantile) => {
            let attributes = t::SparkDriverCodeGeneratorSourceCodeSizeQuantile { quantile };
            metrics.spark_driver_code_generator_source_code_size_quantile(&attributes, characters);
        }
    }
}

pub(super) fn hive_catalog(figure: &Figure<'_>, metrics: &mut t::Metrics) -> bool {
    let (start, count) = (figure.start, figure.count);
    match figure.name {
        _ if !figure.is_plain() => return false,
        "fileCacheHits" => metrics.spark_driver_hive_external_catalog_file_cache_hits(start, count),
        "filesDiscovered" => metrics.spark_driver_hive_external_catalog_files_discovered(start, count),
        "hiveClientCalls" => metrics.spark_driver_hive_external_catalog_hive_client_calls(start, count),
        "parallelListingJobCount" => metrics.spark_driver_hive_external_catalog_parallel_listing_jobs(start, count),
        "partitionsFetched" => metrics.spark_driver_hive_external_catalog_partitions_fetched(start, count),
        _ => return false,
    }
    true
}
