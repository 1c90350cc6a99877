"""The packaged template with the URLs of version 0.1: one per receiver, without an alias."""

import json

from samtranslator.yaml_helper import yaml_parse


def with_unqualified_urls(packaged):
    """The text of a template whose receivers have a FunctionUrlConfig, as in version 0.1."""
    template = yaml_parse(packaged)
    loop = template["Resources"]["Fn::ForEach::EveryReceiver"][2]
    for name in [name for name, resource in loop.items() if resource["Type"] in ("AWS::Lambda::Url", "AWS::Lambda::Permission")]:
        del loop[name]
    function = loop["${Receiver}Function"]
    del function["UpdateReplacePolicy"]
    for name in ["AutoPublishAlias", "VersionDescription", "DeploymentPreference"]:
        del function["Properties"][name]
    function["Properties"]["FunctionUrlConfig"] = {"AuthType": "NONE", "InvokeMode": "BUFFERED"}
    outputs = template["Outputs"]
    del outputs["Fn::ForEach::UrlsOfEarlierStacks"]
    outputs["Fn::ForEach::ReceiverUrls"][2]["${Receiver}Url"]["Value"] = {
        "Fn::GetAtt": [{"Fn::Sub": "${Receiver}FunctionUrl"}, "FunctionUrl"]}
    for name in ["UnqualifiedUrls", "GradualDeployment"]:
        del template["Parameters"][name]
    for name in ["KeepsUnqualifiedUrls", "DeploysGradually"]:
        del template["Conditions"][name]
    del template["Resources"]["DeploymentRole"]
    del template["Metadata"]
    return json.dumps(template)
