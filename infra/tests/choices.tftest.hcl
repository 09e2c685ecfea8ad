# What an operator may choose, and what is refused.

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}

variables {
  project = "pitwall-test"
  bundle  = "../functions/main.py"
}

run "chosen" {
  command = plan

  variables {
    secrets_with_values = ["f1tv-token", "openf1-password", "rate-limit"]
    polled_by           = "collector"
    app_check           = true
    billing_account     = "012345-6789AB-CDEF01"
    budget              = 50
    alert_emails        = ["someone@example.com"]
    settings            = { PITWALL_ECONOMY_SLOW_AT = "0.7" }
    protected           = false
    karts               = true
    kart_retention_days = 0
  }

  assert {
    condition = {
      for name, one in module.function : name => { for s in one.function.service_config[0].secret_environment_variables : s.key => "${s.secret} ${s.version}" }
      if length(one.function.service_config[0].secret_environment_variables) > 0
      } == {
      api    = { PITWALL_RATE_LIMIT_SECRET = "rate-limit latest" }
      poller = { PITWALL_OPENF1_PASSWORD = "openf1-password latest" }
    }
    error_message = "A function is given its own secrets, where they have a value."
  }

  assert {
    condition     = module.function["poller"].function.service_config[0].environment_variables.PITWALL_F1_TOKEN_SECRET == "projects/pitwall-test/secrets/f1tv-token/versions/latest"
    error_message = "The poller reads the F1TV token itself, at every connection."
  }

  assert {
    condition     = { for name, one in module.job : name => one.job.paused } == { karts-a = false, karts-b = false, poller-a = true, poller-b = true, reconciler = false, schedule = false }
    error_message = "Where a collector polls, the poller's jobs are paused, and only they."
  }

  assert {
    condition = alltrue([
      for name in ["karts-a", "karts-b"] :
      module.job[name].job.schedule == "* * * * *"
      && module.job[name].job.attempt_deadline == "1800s" && jsondecode(base64decode(module.job[name].job.http_target[0].body)) == {}
    ])
    error_message = "Two jobs start the function of kart tracks every minute, where there are any."
  }

  assert {
    condition     = module.function["karts"].function.service_config[0].environment_variables.PITWALL_KART_RETENTION_DAYS == "0" && [for rule in module.raw.bucket.lifecycle_rule : rule.condition[0].age if rule.action[0].type == "Delete"] == [730]
    error_message = "What is stored of kart tracks is kept as all else, where an operator wants that."
  }

  assert {
    condition     = google_firebase_app_check_service_config.firestore[0].service_id == "firestore.googleapis.com" && google_firebase_app_check_service_config.firestore[0].enforcement_mode == "ENFORCED"
    error_message = "Firestore answers no app without a token of App Check."
  }

  assert {
    condition     = module.function["api"].function.service_config[0].environment_variables.PITWALL_APP_CHECK == "on"
    error_message = "Nor does the API."
  }

  assert {
    condition = (
      module.budget[0].budget.amount[0].specified_amount[0].units == "50"
      && module.budget[0].budget.budget_filter[0].projects == tolist(["projects/123456789012"])
      && [for rule in module.budget[0].budget.threshold_rules : rule.threshold_percent] == [0.5, 0.7, 1]
    )
    error_message = "The budget is this project's, and tells where the economy begins to save."
  }

  assert {
    condition     = module.function["economy"].function.service_config[0].environment_variables.PITWALL_ECONOMY_SLOW_AT == "0.7"
    error_message = "A setting that an operator changes reaches the functions."
  }

  assert {
    condition     = module.database.database.delete_protection_state == "DELETE_PROTECTION_DISABLED" && module.raw.bucket.force_destroy
    error_message = "Only on purpose is it taken down with its data."
  }
}

run "closed" {
  command = apply

  variables {
    economy = "closed"
  }

  assert {
    condition     = module.rules.release.ruleset_name == module.rules.rulesets.closed
    error_message = "A closed economy releases the closed rules."
  }
}

run "released_by_the_function_later" {
  command = apply

  variables {
    economy = "off"
  }

  assert {
    condition     = module.rules.release.ruleset_name == module.rules.rulesets.closed
    error_message = "A later apply leaves the release where it is."
  }
}

# Each of these is refused: all are named below, or the run fails.
run "refused" {
  command = plan

  variables {
    project              = "PitWall"
    region               = "eur3"
    feed                 = "F1"
    revision             = "v1 of today"
    polled_by            = "nobody"
    source_of            = "recording:/tmp/race"
    fallback             = "f1"
    secrets_with_values  = ["f1-token"]
    settings             = { PITWALL_F1_TOKEN = "eyJ" }
    economy              = "shut"
    cors_origins         = ["https://app.example/live"]
    poller_max_instances = 2
    raw_retention_days   = 1
    kart_retention_days  = -1
    billing_account      = "my-account"
    budget               = 0
  }

  expect_failures = [
    var.project,
    var.region,
    var.feed,
    var.revision,
    var.polled_by,
    var.source_of,
    var.fallback,
    var.secrets_with_values,
    var.settings,
    var.economy,
    var.cors_origins,
    var.poller_max_instances,
    var.raw_retention_days,
    var.kart_retention_days,
    var.billing_account,
    var.budget,
  ]
}

run "refused_because_there_is_no_such_setting" {
  command = plan

  variables {
    settings = { PITWALL_SPED = "2" }
  }

  expect_failures = [var.settings]
}
